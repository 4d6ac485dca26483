// The headline figures, and how the labels spread over the F1 ranges.

function overviewSection() {
  const { summary, rows } = EVALUATION;
  const score = (key) => (rows ? summary[key] : null);
  const pair = (family) =>
    pieces(
      `${say("precision")} ${percent(score(`${family}_precision`))}`,
      `${say("recall")} ${percent(score(`${family}_recall`))}`,
    );
  const at = (k) => `@${k} ${percent(score(`precision_at_${k}`))}`;
  const tiles = [
    tile("microF1", score("micro_f1"), "microGloss", pair("micro"), "first"),
    tile("macroF1", score("macro_f1"), "macroGloss", pair("macro")),
    tile("hierarchicalF1", score("hierarchical_f1"), "hierarchicalGloss", pair("hierarchical")),
    tile("exactMatch", score("accuracy"), "exactGloss"),
    tile(
      "constrainedF1",
      score("constrained_micro_f1"),
      "constrainedGloss",
      `${say("constrainedMacro")} ${percent(score("constrained_macro_f1"))}`,
    ),
    tile("precisionAt", score("precision_at_1"), "precisionAtGloss", pieces(at(3), at(5))),
    tile("consistent", score("consistent_share"), "consistentGloss"),
    tile("calibrationError", score("calibration_error"), "calibrationGloss"),
  ];
  return section(
    "overview",
    null,
    rows ? null : element("p", { class: "notice" }, say("noRows")),
    element("dl", { class: "tiles" }, tiles),
    readings(),
    distribution(),
  );
}

// What the figures cannot tell: how much of the texts was read, labels that could not be learnt or measured, and what
// explanations are worth.
function readings() {
  const { reading, labels, train_rows: train, few_rows: few, rows, explanations } = EVALUATION;
  const having = (fits) => labels.filter(fits).length;
  const absent = train ? having((label) => label.train?.support === 0) : 0;
  const rare = train ? having((label) => label.train?.support > 0 && label.train.support < few) : 0;
  const unmeasured = rows ? having((label) => label.dev.support === 0) : 0;
  const lines = [
    reading ? say("textsRead", reading) : null,
    absent || rare ? say("fewTrained", absent, rare, few) : null,
    unmeasured ? say("macroOfAll", unmeasured, labels.length) : null,
    explanations?.labels ? say("explanations", explanations) : null,
  ].filter(Boolean);
  return lines.length
    ? element(
        "ul",
        { class: "hint readings" },
        lines.map((line) => element("li", {}, line)),
      )
    : null;
}

function tile(name, score, gloss, more = null, extra = "") {
  return element(
    "div",
    { class: `tile ${extra}` },
    element("dt", {}, say(name)),
    element("dd", { class: "score" }, percent(score, 2), typeof score === "number" ? element("small", {}, "%") : null),
    more ? element("dd", { class: "more-figures" }, more) : null,
    element("dd", { class: "hint" }, say(gloss)),
  );
}

function distribution() {
  const numbers = [...RANGES, null].map(() => 0);
  for (const label of EVALUATION.labels) numbers[rangeOfLabel(label)] += 1;
  const parts = numbers.map((number, range) => {
    if (!number) return null;
    const name = `${rangeName(range)}: ${say("labelCount", number)}`;
    return element(
      "li",
      { style: { "flex-grow": number } },
      element(
        "button",
        { type: "button", title: name, "aria-label": `${say("f1")} ${name}`, click: () => showRange(range) },
        element("span", { class: `strip f1-${range}` }),
        element("strong", {}, count(number)),
        element("span", { class: "hint" }, rangeName(range)),
      ),
    );
  });
  return element(
    "div",
    { class: "distribution" },
    element("h3", {}, say("distribution"), " ", element("span", { class: "hint" }, say("distributionHint"))),
    element("ul", {}, parts),
  );
}
