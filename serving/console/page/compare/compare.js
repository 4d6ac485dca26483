// A second model beside the first: what each of them answers, and what only one does.

const COMPARED = "/compared";

async function loadOther() {
  state.other = state.model.compared ? await ask(`${COMPARED}/model`) : null;
}

// Whether both answer by the settings: a promise that only the first makes compares nothing.
function comparable() {
  const { promise } = state.settings;
  return Boolean(state.other) && (promise === null || state.other.promises.some(({ precision }) => precision === promise));
}

// What the summary says of both.
function comparison(all) {
  if (!state.other) return "";
  return comparable() ? say("differing", all.filter(differs).length) : say("notPromised", modelName(state.other), percent(state.settings.promise, 0));
}

function onlyIn(own, other) {
  const there = new Set(other.map(({ label }) => label));
  return new Set(own.map(({ label }) => label).filter((label) => !there.has(label)));
}

function differs({ labels, problem, other }) {
  if (!other) return false;
  if (problem || other.problem) return Boolean(problem) !== Boolean(other.problem);
  return onlyIn(labels, other.labels).size + onlyIn(other.labels, labels).size > 0;
}

function modelName({ source, version, bundle }) {
  return [source, version ? say("version", version) : bundle].join(" · ");
}

function onlyDifferingBox() {
  const box = element("input", {
    type: "checkbox",
    id: "only-differing",
    checked: state.onlyDiffering,
    change: () => {
      state.onlyDiffering = box.checked;
      drawAnswers();
    },
  });
  return state.other ? element("label", { class: "way" }, box, say("onlyDiffering")) : null;
}

// Both answers to a text, side by side.
function sides({ labels, other }, words, point) {
  const side = (model, own, others, show) =>
    element(
      "div",
      { class: "side" },
      element("h4", {}, modelName(model)),
      own.problem ? element("p", { class: "hint" }, wording(own.problem)) : null,
      own.labels.length || own.problem ? labelTree(own.labels, words, show, onlyIn(own.labels, others)) : element("p", { class: "hint" }, say("noLabel")),
    );
  return element("div", { class: "sides" }, side(state.model, { labels }, other.labels, point), side(state.other, other, labels, null));
}
