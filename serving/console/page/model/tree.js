// All labels, to search in and to open branch by branch: of a large hierarchy only what is looked at is built.

const FIRST_LABELS = 100;
const FEW_ROWS = 10; // of the development file, on which a score says little

function labelBrowser(known) {
  const { labels } = state.model;
  const below = labelsBelow();
  const host = element("div", { id: "label-browser" });
  const show = (query) => {
    const words = wordsOf(query);
    if (!words.length) return host.replaceChildren(branchOf(below, null, known));
    const found = labelsWith(words);
    const list = element("ul", { class: "label-tree" });
    const columns = new Map(labels.map((label, column) => [label, column]));
    const more = growingList(list, found, FIRST_LABELS, (label) =>
      element("li", {}, labelLine(columns.get(label), known, pathElement(label, words), below)),
    );
    host.replaceChildren(element("p", { class: "hint", role: "status" }, say("labelsFound", found.length)), list, more);
  };
  const search = searchBox(say("pick"), "", show);
  search.id = "label-search";
  show("");
  return element("div", {}, element("h3", {}, say("labelTree")), element("p", { class: "hint" }, say("f1Hint")), element("div", { class: "controls" }, field(say("pick"), search)), host);
}

// By the number of a label, those that lie directly below it; null: the top.
function labelsBelow() {
  const below = new Map([[null, []]]);
  state.model.parents.forEach((parents, column) => {
    for (const parent of parents.length ? parents : [null]) {
      if (!below.has(parent)) below.set(parent, []);
      below.get(parent).push(column);
    }
  });
  return below;
}

function branchOf(below, parent, known) {
  const list = element("ul", { class: "label-tree" });
  const more = growingList(list, below.get(parent) || [], FIRST_LABELS, (column) => {
    const name = element("bdi", { class: "leaf" }, segments(state.model.labels[column]).pop());
    const line = labelLine(column, known, name, below);
    if (!below.has(column)) return element("li", {}, line);
    const open = () => fold.open && fold.lastChild === head && fold.append(branchOf(below, column, known));
    const head = element("summary", {}, line);
    const fold = element("details", { toggle: open }, head);
    return element("li", {}, fold);
  });
  return element("div", {}, list, more);
}

function labelLine(column, known, name, below) {
  const children = below.get(column)?.length;
  const scores = labelScores(known.dev_labels, column);
  const said = [
    children ? say("below", children) : null,
    known.label_rows ? say("rows", known.label_rows[column]) : null,
    say("thresholdOf", state.model.thresholds[column].toFixed(2)),
    scores.precision === null ? null : say("scores", percent(scores.precision), percent(scores.recall)),
    scores.rows === null ? null : say("devRows", scores.rows),
  ];
  const few = scores.f1 !== null && scores.rows < FEW_ROWS ? element("span", { class: "promised only" }, say("few")) : null;
  return element(
    "span",
    { class: "label-line" },
    element("span", { class: "about" }, name, " ", element("span", { class: "hint" }, said.filter(Boolean).join(" · ")), " ", few),
    element("span", { class: "unseen" }, "F1"),
    scores.f1 === null ? element("span", { class: "hint unknown", title: say("unknownF1") }, "—") : meter(scores.f1),
  );
}

// A label's scores on the development file, null where they are not known; of a label without rows there none are.
function labelScores(counts, column) {
  const [rows, answered, right] = ["rows", "answered", "right"].map((name) => counts?.[name][column] ?? null);
  if (!rows || answered === null || right === null) return { rows, precision: null, recall: null, f1: null };
  return { rows, precision: answered ? right / answered : 0, recall: right / rows, f1: (2 * right) / (rows + answered) };
}
