// The table of all labels: sortable, filterable, a page at a time.

const LABEL_COLUMNS = [
  { key: "label", name: "label", value: (label) => label.label, text: true },
  { key: "level", name: "level", value: (label) => label.level, wide: true },
  { key: "support", name: "support", value: (label) => label.dev.support },
  { key: "precision", name: "precision", value: (label) => label.dev.precision },
  { key: "recall", name: "recall", value: (label) => (label.dev.support > 0 ? label.dev.recall : null) },
  { key: "f1", name: "f1", value: f1Of },
  { key: "threshold", name: "threshold", value: (label) => label.threshold, wide: true },
  { key: "trainSupport", name: "trainSupport", value: (label) => label.train?.support, wide: true },
  { key: "trainF1", name: "trainF1", value: (label) => label.train?.f1, wide: true },
];

const labelState = { query: "", level: "", range: "", sort: "f1", descending: false };

let showRange = () => {};

function labelsSection() {
  const page = 25;
  const columns = LABEL_COLUMNS.filter((column) => EVALUATION.train_rows || !column.key.startsWith("train"));
  const body = element("tbody");
  const heads = element("tr");
  const status = element("p", { class: "hint status", role: "status" });
  const growing = element("div");
  const levels = [...new Set(EVALUATION.labels.map((label) => label.level))].sort((a, b) => a - b);

  function refresh() {
    heads.replaceChildren(...columns.map(head));
    const entries = sorted(matchingLabels(), columns);
    status.replaceChildren(say("matching", entries.length, EVALUATION.labels.length));
    const words = wordsOf(labelState.query);
    body.replaceChildren();
    if (!entries.length) body.append(element("tr", {}, element("td", { colspan: columns.length }, nothing(say("noneMatch")))));
    growing.replaceChildren(growingList(body, entries, page, (label) => labelRow(label, columns, words)));
  }

  function head(column) {
    const current = labelState.sort === column.key;
    const sort = () => {
      labelState.descending = current ? !labelState.descending : false;
      labelState.sort = column.key;
      refresh();
      heads.querySelector(`[data-sort="${column.key}"]`).focus();
    };
    const arrow = current ? (labelState.descending ? "↓" : "↑") : "";
    return element(
      "th",
      { scope: "col", class: kindOf(column), "aria-sort": current ? (labelState.descending ? "descending" : "ascending") : "none" },
      element("button", { type: "button", "data-sort": column.key, click: sort }, say(column.name), element("span", { class: "arrow", "aria-hidden": "true" }, arrow)),
    );
  }

  const set = (key) => (value) => {
    labelState[key] = value;
    refresh();
  };
  const ranges = choice([["", say("everyF1")], ...[...RANGES, null].map((_, range) => [String(range), rangeName(range)])], labelState.range, set("range"));
  const controls = element(
    "div",
    { class: "controls" },
    field(say("filterLabels"), searchBox(say("filterLabelsExample"), labelState.query, set("query"))),
    levels.length > 1
      ? field(say("level"), choice([["", say("everyLevel")], ...levels.map((level) => [String(level), say("atLevel", level)])], labelState.level, set("level")))
      : null,
    field(say("f1"), ranges),
  );
  const table = element("table", { class: "labels" }, element("caption", { class: "unseen" }, `${say("labels")}. ${say("perCent")}`), element("thead", {}, heads), body);
  const built = section("labels", `${say("labelsHint")} ${say("perCent")}`, controls, status, table, growing);
  refresh();
  showRange = (range) => {
    ranges.value = String(range);
    set("range")(String(range));
    built.scrollIntoView({ block: "start" });
  };
  return built;
}

function matchingLabels() {
  const words = wordsOf(labelState.query);
  return EVALUATION.labels.filter((label) => {
    if (labelState.level && String(label.level) !== labelState.level) return false;
    if (labelState.range && String(rangeOfLabel(label)) !== labelState.range) return false;
    const text = readable(label.label).toLowerCase();
    return words.every((word) => text.includes(word) || label.label.toLowerCase().includes(word));
  });
}

// What has no value comes last in either direction; equals are ordered by support, largest first.
function sorted(entries, columns) {
  const column = columns.find(({ key }) => key === labelState.sort) || columns[0];
  const sign = labelState.descending ? -1 : 1;
  const missing = (value) => (typeof value === "number" || typeof value === "string" ? 0 : 1);
  const collator = new Intl.Collator(language === "zh" ? "zh-CN" : "en", { numeric: true });
  const decorated = entries.map((label) => [column.value(label), label]);
  decorated.sort(([a, first], [b, second]) => {
    const order = column.text ? collator.compare(a, b) : a - b;
    return missing(a) - missing(b) || (missing(a) ? 0 : sign * order) || second.dev.support - first.dev.support;
  });
  return decorated.map(([, label]) => label);
}

function kindOf(column) {
  return [column.text ? "name" : "count", column.wide ? "wide" : "", column.key === "f1" ? "f1" : ""].filter(Boolean).join(" ");
}

function labelRow(label, columns, words) {
  return element("tr", {}, columns.map((column) => labelCell(label, column, words)));
}

function labelCell(label, column, words) {
  const value = column.value(label);
  if (column.text) {
    const threshold = `${say("threshold")} ${decimal(label.threshold)}`;
    const narrow = EVALUATION.train_rows ? pieces(threshold, `${say("trainF1")} ${percent(label.train?.f1)}`) : threshold;
    return element(
      "th",
      { scope: "row", class: kindOf(column) },
      element("button", { type: "button", click: () => showInHierarchy(label.label) }, pathElement(label.label, words)),
      element("span", { class: "hint narrow" }, narrow),
    );
  }
  if (column.key === "f1") return element("td", { class: kindOf(column) }, element("span", { class: "meter" }, bar(value), element("span", { class: "number" }, percent(value))));
  const whole = ["level", "support", "trainSupport"].includes(column.key);
  const shown = whole ? (typeof value === "number" ? count(value) : "–") : column.key === "threshold" ? decimal(value) : percent(value);
  return element("td", { class: kindOf(column) }, shown);
}
