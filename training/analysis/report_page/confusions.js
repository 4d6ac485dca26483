// The most confused pairs of labels.

function confusionsSection() {
  const pairs = EVALUATION.confusions;
  if (!pairs.length) return section("confusions", null, nothing(say("noConfusions")));
  const most = Math.max(...pairs.map((pair) => pair.count));
  const list = element("ol", { class: "confusions" });
  const growing = growingList(list, pairs, 12, (pair) =>
    element(
      "li",
      {},
      element(
        "button",
        { type: "button", click: () => showPair(pair) },
        element(
          "span",
          { class: "pair" },
          tagged("missed", pair.missed),
          element("span", { class: "hint" }, say("insteadOf")),
          tagged("wrong", pair.predicted),
        ),
        element(
          "span",
          { class: "meter" },
          element(
            "span",
            { class: "bar plain", "aria-hidden": "true" },
            element("span", { style: { width: `${(100 * pair.count) / most}%` } }),
          ),
          element("span", { class: "number", title: say("times") }, count(pair.count)),
        ),
      ),
    ),
  );
  return section("confusions", say("confusionsHint"), list, growing);
}
