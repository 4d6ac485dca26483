// The table of all labels: sortable, filterable, a page at a time.

// `wide` columns are for wide screens alone; values are written as per cent unless `write` does it.
const LABEL_COLUMNS = [
  { key: "label", name: "label", value: (label) => label.label, text: true },
  { key: "level", name: "level", value: (label) => label.level, write: count, wide: true },
  { key: "support", name: "support", value: (label) => label.dev.support, write: count },
  { key: "precision", name: "precision", value: precisionOf },
  { key: "recall", name: "recall", value: recallOf },
  { key: "f1", name: "f1", value: f1Of },
  { key: "threshold", name: "threshold", value: (label) => label.threshold, write: decimal, wide: true },
  { key: "trainSupport", name: "trainSupport", value: (label) => label.train?.support, write: count, wide: true },
  { key: "trainF1", name: "trainF1", value: (label) => label.train?.f1, wide: true },
];

const labelState = { query: "", level: "", range: "", sort: "f1", descending: false };

let showRange = () => {};

class LabelTable {
  constructor(labels) {
    this.labels = labels;
    const { train_rows: train, train_measured: measured = true } = EVALUATION;
    this.columns = LABEL_COLUMNS.filter(({ key }) => (train || !key.startsWith("train")) && (measured || key !== "trainF1"));
    this.heads = tableRow();
    this.body = tableBody();
    this.status = element("p", { class: "hint status", role: "status" });
    this.growing = element("div");
    this.ranges = choice(
      [["", say("everyF1")], ...[...RANGES, null].map((_, range) => [String(range), rangeName(range)])],
      labelState.range,
      (range) => this.change({ range }),
    );
    this.refresh();
  }

  section() {
    const caption = element("caption", { class: "unseen" }, `${say("labels")}. ${say("perCent")}`);
    const table = element("table", { role: "table", class: "labels" }, caption, tableHead({}, this.heads), this.body);
    const hint = `${say("labelsHint")} ${say("perCent")}`;
    return section("labels", hint, this.controls(), this.status, table, this.growing);
  }

  controls() {
    const levels = [...new Set(this.labels.map((label) => label.level))].sort((a, b) => a - b);
    const options = [["", say("everyLevel")], ...levels.map((level) => [String(level), say("atLevel", level)])];
    const search = searchBox(say("filterLabelsExample"), labelState.query, (query) => this.change({ query }));
    const level = choice(options, labelState.level, (chosen) => this.change({ level: chosen }));
    return element(
      "div",
      { class: "controls" },
      field(say("filterLabels"), search),
      levels.length > 1 ? field(say("level"), level) : null,
      field(say("f1"), this.ranges),
    );
  }

  change(state) {
    Object.assign(labelState, state);
    this.ranges.value = labelState.range;
    this.refresh();
  }

  refresh() {
    const { columns, body } = this;
    const words = wordsOf(labelState.query);
    const entries = sorted(matching(this.labels, words), columns);
    this.heads.replaceChildren(...columns.map((column) => this.head(column)));
    this.status.replaceChildren(say("matching", entries.length, this.labels.length));
    body.replaceChildren();
    if (!entries.length) body.append(tableRow({}, tableCell({ colspan: columns.length }, nothing(say("noneMatch")))));
    this.growing.replaceChildren(growingList(body, entries, 25, (label) => labelRow(label, columns, words)));
  }

  head({ key, name, ...column }) {
    const current = labelState.sort === key;
    const { descending } = labelState;
    const sort = () => {
      this.change({ sort: key, descending: current && !descending });
      this.heads.querySelector(`[data-sort="${key}"]`).focus();
    };
    const arrow = current ? (descending ? "↓" : "↑") : "";
    const order = current ? (descending ? "descending" : "ascending") : "none";
    return columnHead(
      { class: kindOf({ key, ...column }), "aria-sort": order },
      element(
        "button",
        { type: "button", "data-sort": key, click: sort },
        say(name),
        element("span", { class: "arrow", "aria-hidden": "true" }, arrow),
      ),
    );
  }
}

function labelsSection() {
  const table = new LabelTable(EVALUATION.labels);
  const built = table.section();
  showRange = (range) => {
    table.change({ range: String(range) });
    built.scrollIntoView({ block: "start" });
  };
  return built;
}

function matching(labels, words) {
  const { level, range } = labelState;
  return labels.filter((label) => {
    if (level && String(label.level) !== level) return false;
    if (range && String(rangeOfLabel(label)) !== range) return false;
    const written = `${label.label}\n${readable(label.label)}`.toLowerCase();
    return words.every((word) => written.includes(word));
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

function kindOf({ key, text, wide }) {
  return `${text ? "name" : "count"} ${wide ? "wide" : ""} ${key === "f1" ? "f1" : ""}`.trim();
}

function labelRow(label, columns, words) {
  const cells = columns.map((column) => (column.text ? labelHead(label, column, words) : labelCell(label, column)));
  return tableRow({}, cells);
}

function labelHead(label, column, words) {
  const threshold = `${say("threshold")} ${decimal(label.threshold)}`;
  const more = EVALUATION.train_rows ? pieces(threshold, `${say("trainF1")} ${percent(label.train?.f1)}`) : threshold;
  const show = () => showInHierarchy(label.label);
  return rowHead(
    { class: kindOf(column) },
    element("button", { type: "button", click: show }, pathElement(label.label, words)),
    element("span", { class: "hint narrow" }, more),
  );
}

function labelCell(label, column) {
  const value = column.value(label);
  const write = column.write || percent;
  const shown = column.key === "f1" ? meter(value) : typeof value === "number" ? write(value) : "–";
  return tableCell({ class: kindOf(column) }, shown);
}
