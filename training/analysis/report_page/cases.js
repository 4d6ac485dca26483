// The rows with a wrong label set, to be searched.

const caseState = { query: "", kind: "every", pair: null };

let showPair = () => {};

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
  const paths = [...row.labels, ...predicted.keys()];
  return {
    text: row.text,
    correct: row.labels.filter((label) => predicted.has(label)).map((label) => [label, predicted.get(label)]),
    missed: row.labels.filter((label) => !predicted.has(label)).map((label) => [label, null]),
    wrong: [...predicted].filter(([label]) => !actual.has(label)),
    searched: [row.text, ...paths, ...paths.map(readable)].join("\n").toLowerCase(),
  };
}

function holdsPair(row, { missed, predicted }) {
  return row.missed.some(([label]) => label === missed) && row.wrong.some(([label]) => label === predicted);
}

class CaseList {
  constructor(rows) {
    this.rows = rows.map(prepared);
    this.list = element("ol", { class: "cases" });
    this.status = element("p", { class: "hint status", role: "status" });
    this.growing = element("div");
    this.pair = element("div");
    this.refresh();
  }

  parts() {
    const search = searchBox(say("searchCasesExample"), caseState.query, (query) => this.change({ query }));
    const kinds = [
      ["every", say("everyCase")],
      ["missed", say("missedCases")],
      ["wrong", say("wrongCases")],
    ];
    const kind = choice(kinds, caseState.kind, (chosen) => this.change({ kind: chosen }));
    const fields = [field(say("searchCases"), search), field(say("caseKind"), kind)];
    return [element("div", { class: "controls" }, fields), this.pair, this.status, this.list, this.growing];
  }

  change(state) {
    Object.assign(caseState, state);
    this.refresh();
  }

  refresh() {
    const { query, kind, pair } = caseState;
    const words = wordsOf(query);
    const fits = (row) =>
      (kind === "every" || row[kind].length > 0) &&
      (!pair || holdsPair(row, pair)) &&
      words.every((word) => row.searched.includes(word));
    const entries = this.rows.filter(fits);
    this.status.replaceChildren(say("casesMatching", entries.length, this.rows.length));
    this.pair.replaceChildren(...(pair ? [this.pairFilter(pair)] : []));
    this.list.replaceChildren();
    if (!entries.length) this.list.append(element("li", {}, nothing(say("noneMatch"))));
    this.growing.replaceChildren(growingList(this.list, entries, 10, (row) => caseEntry(row, words)));
  }

  pairFilter({ missed, predicted }) {
    const remove = () => this.change({ pair: null });
    return element(
      "button",
      { type: "button", class: "filter", title: say("removeFilter"), click: remove },
      say("onlyPair", readable(missed), readable(predicted)),
      element("span", { class: "arrow", "aria-hidden": "true" }, "✕"),
    );
  }
}

function casesSection() {
  const { shown, total } = EVALUATION.bad_cases;
  if (!total) return section("cases", null, nothing(EVALUATION.rows ? say("noCases") : say("noRows")));
  const cases = new CaseList(shown);
  const built = section("cases", say("casesHint", shown.length, total), ...cases.parts());
  showPair = (pair) => {
    cases.change({ pair });
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
    text.append(
      ...marked(cut, words),
      "… ",
      element("button", { type: "button", class: "link", click: whole }, say("wholeText")),
    );
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
        element(
          "dd",
          {},
          row[kind].map(([label, confidence]) => tagged(kind, label, confidence, words)),
        ),
      ]),
    ),
  );
}
