// The most confused pairs of labels, and the rows with a wrong label set.

const caseState = { query: "", kind: "every", pair: null };

let showPair = () => {};

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
        element("span", { class: "pair" }, tagged("missed", pair.missed), element("span", { class: "hint" }, say("insteadOf")), tagged("wrong", pair.predicted)),
        element(
          "span",
          { class: "meter" },
          element("span", { class: "bar plain", "aria-hidden": "true" }, element("span", { style: { width: `${(100 * pair.count) / most}%` } })),
          element("span", { class: "number", title: say("times") }, count(pair.count)),
        ),
      ),
    ),
  );
  return section("confusions", say("confusionsHint"), list, growing);
}

const SIGNS = { correct: "✓", missed: "−", wrong: "+" };

function tagged(kind, path, confidence = null, words = []) {
  return element(
    "span",
    { class: `tag ${kind}` },
    element("span", { class: "sign", "aria-hidden": "true" }, SIGNS[kind]),
    element("span", { class: "unseen" }, `${say(kind)}: `),
    pathElement(path, words),
    confidence === null ? null : element("span", { class: "confidence" }, decimal(confidence)),
  );
}

// A bad case with its labels sorted into correct, missed and wrong ones, and the text that a search looks through.
function prepared(row) {
  const predicted = new Map(row.predictions.map(({ label, confidence }) => [label, confidence]));
  const actual = new Set(row.labels);
  return {
    text: row.text,
    correct: row.labels.filter((label) => predicted.has(label)).map((label) => [label, predicted.get(label)]),
    missed: row.labels.filter((label) => !predicted.has(label)).map((label) => [label, null]),
    wrong: row.predictions.filter(({ label }) => !actual.has(label)).map(({ label, confidence }) => [label, confidence]),
    searched: [row.text, ...row.labels, ...predicted.keys()].join("\n").toLowerCase(),
  };
}

function casesSection() {
  const { shown, total } = EVALUATION.bad_cases;
  if (!total) return section("cases", null, nothing(EVALUATION.rows ? say("noCases") : say("noRows")));
  const rows = shown.map(prepared);
  const list = element("ol", { class: "cases" });
  const status = element("p", { class: "hint status", role: "status" });
  const growing = element("div");
  const filter = element("div");

  function refresh() {
    const words = wordsOf(caseState.query);
    const { kind, pair } = caseState;
    const entries = rows.filter(
      (row) =>
        (kind === "every" || row[kind].length) &&
        (!pair || (row.missed.some(([label]) => label === pair.missed) && row.wrong.some(([label]) => label === pair.predicted))) &&
        words.every((word) => row.searched.includes(word)),
    );
    status.replaceChildren(say("casesMatching", entries.length, rows.length));
    filter.replaceChildren(...(pair ? [pairFilter(pair)] : []));
    list.replaceChildren();
    if (!entries.length) list.append(element("li", {}, nothing(say("noneMatch"))));
    growing.replaceChildren(growingList(list, entries, 10, (row) => caseEntry(row, words)));
  }

  function pairFilter(pair) {
    const name = say("onlyPair", readable(pair.missed), readable(pair.predicted));
    const remove = () => {
      caseState.pair = null;
      refresh();
    };
    return element("button", { type: "button", class: "filter", title: say("removeFilter"), click: remove }, name, element("span", { class: "arrow", "aria-hidden": "true" }, "✕"));
  }

  const kinds = [["every", say("everyCase")], ["missed", say("missedCases")], ["wrong", say("wrongCases")]];
  const kindChanged = (kind) => {
    caseState.kind = kind;
    refresh();
  };
  const queryChanged = (query) => {
    caseState.query = query;
    refresh();
  };
  const controls = element(
    "div",
    { class: "controls" },
    field(say("searchCases"), searchBox(say("searchCasesExample"), caseState.query, queryChanged)),
    field(say("caseKind"), choice(kinds, caseState.kind, kindChanged)),
  );
  const built = section("cases", say("casesHint", shown.length, total), controls, filter, status, list, growing);
  refresh();
  showPair = (pair) => {
    caseState.pair = pair;
    refresh();
    built.scrollIntoView({ block: "start" });
  };
  return built;
}

const LONG_TEXT = 400; // characters

function caseEntry(row, words) {
  const text = element("p", { class: "text", dir: "auto" });
  const whole = () => text.replaceChildren(...marked(row.text, words));
  if (row.text.length > LONG_TEXT) {
    const cut = [...row.text.slice(0, LONG_TEXT)].slice(0, -1).join("");
    text.append(...marked(cut, words), "… ", element("button", { type: "button", class: "link", click: whole }, say("wholeText")));
  } else if (row.text.trim()) whole();
  else text.append(element("em", {}, say("emptyText")));
  const kinds = ["correct", "missed", "wrong"].filter((kind) => row[kind].length);
  return element(
    "li",
    { class: "case" },
    text,
    element(
      "dl",
      {},
      kinds.map((kind) => [
        element("dt", { class: kind }, say(kind)),
        element("dd", {}, row[kind].map(([label, confidence]) => tagged(kind, label, confidence, words))),
      ]),
    ),
  );
}
