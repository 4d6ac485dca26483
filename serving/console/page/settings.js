// Of a model with labels that go before others the server alone decodes: what it answers by the settings of the moment.
let asking = 0;

function askAgain() {
  clearTimeout(asking);
  asking = setTimeout(() => {
    if (state.model.decoding.leading?.length) askModel("", "answer");
    if (comparable() && state.other.decoding.leading?.length) askModel(COMPARED, "other");
  }, 150);
}

async function askModel(model, place) {
  const [own, rows] = [JSON.stringify(state.settings), state.rows.filter((row) => row[place] && !row[place].problem)];
  for (let first = 0; first < rows.length; first += BATCH) {
    const some = rows.slice(first, first + BATCH);
    try {
      const { answers, bundle } = await ask(`${model}/classify`, { texts: some.map(({ text }) => text), ...chosenOptions() });
      if (JSON.stringify(state.settings) !== own) return;
      if (bundle !== (model ? state.other : state.model)?.bundle) return await changeOver();
      answers.forEach(({ labels }, row) => (some[row][place].asked = labels));
    } catch (error) {
      tell("", wording(error.message));
      return;
    }
    drawSoon();
  }
}

// The settings, as a request has them.
function chosenOptions() {
  const { threshold, policy, topK, promise } = state.settings;
  if (promise !== null) return { promise };
  return { ...(threshold && { threshold }), ...(policy && { policy }), ...(topK && { top_k: topK }) };
}

// The section of sliders: what they change acts on the answers at once.

function settingsSection() {
  const { decoding, thresholds, lowest_threshold: lowest, promises } = state.model;
  const { threshold, policy, topK, promise } = state.settings;
  const shown = element("output", { class: "number" });
  const slider = element("input", {
    type: "range",
    id: "threshold",
    min: lowest,
    max: 0.99,
    step: 0.01,
    "aria-label": say("ownThreshold"),
    input: () => change({ threshold: Number(slider.value) }),
  });
  slider.value = threshold ?? Math.min(...thresholds);
  const change = (settings) => {
    Object.assign(state.settings, settings);
    sayChosen();
    keep();
    drawAnswers();
    askAgain();
  };
  const sayChosen = () => {
    const own = state.settings.threshold;
    shown.replaceChildren(own === null ? say("asModel") : own.toFixed(2));
    reset.hidden = !isOwn();
  };
  const policies = Object.entries(MESSAGES[language].policies);
  const policyBox = choice(policies, policy ?? decoding.policy, (chosen) => change({ policy: chosen }));
  policyBox.id = "policy";
  const most = element("input", {
    type: "number",
    id: "top_k",
    min: 1,
    step: 1,
    placeholder: decoding.top_k ?? say("noLimit"),
    input: () => {
      const topK = most.value ? Math.max(1, Math.floor(Number(most.value))) : null;
      if (topK !== null && Number(most.value) !== topK) most.value = topK; // shown is what counts
      change({ topK });
    },
  });
  most.value = topK ?? "";
  const reset = element(
    "button",
    {
      type: "button",
      class: "filter",
      id: "reset",
      click: () => {
        state.settings = { threshold: null, policy: null, topK: null, promise: null };
        keep();
        document.getElementById("settings").replaceWith(settingsSection());
        drawAnswers();
      },
    },
    say("reset"),
  );
  const precisions = promises.map(({ precision }) => [precision, say("promisedOnly", percent(precision, 0))]);
  const promiseBox = choice([["", say("allLabels")], ...precisions], promise ?? "", (chosen) => {
    for (const control of [slider, policyBox, most]) control.disabled = Boolean(chosen);
    change({ promise: chosen ? Number(chosen) : null });
  });
  promiseBox.id = "promise";
  for (const control of [slider, policyBox, most]) control.disabled = promise !== null;
  sayChosen();
  return section(
    "settings",
    say("settingsHint"),
    element(
      "div",
      { class: "controls" },
      element("label", { class: "field" }, element("span", {}, say("threshold"), " · ", shown), slider),
      field(say("policy"), policyBox),
      field(say("topK"), most),
      promises.length ? field(say("promise"), promiseBox) : null,
    ),
    reset,
  );
}
