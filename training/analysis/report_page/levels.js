// The levels of the hierarchy, each by itself.

const LEVEL_COLUMNS = [
  { key: "labels", name: "labelsOfLevel" },
  { key: "micro_f1", name: "microF1", barred: true },
  { key: "macro_f1", name: "macroF1", barred: true },
  { key: "accuracy", name: "accuracy", barred: true, tone: "right" },
  { key: "micro_precision", name: "microPrecision" },
  { key: "micro_recall", name: "microRecall" },
];

function levelsSection() {
  const heads = LEVEL_COLUMNS.map(({ name, barred }) => columnHead({ class: barred ? null : "count" }, say(name)));
  const rows = EVALUATION.levels.map((level) =>
    tableRow(
      {},
      rowHead({}, say("atLevel", level.level)),
      LEVEL_COLUMNS.map((column) => levelCell(level, column)),
    ),
  );
  const table = element(
    "table",
    { role: "table", class: "levels" },
    element("caption", { class: "unseen" }, `${say("levels")}. ${say("perCent")}`),
    tableHead({}, tableRow({}, columnHead({}, say("level")), heads)),
    tableBody({}, rows),
  );
  return section("levels", `${say("levelsHint")} ${say("perCent")}`, rows.length ? table : nothing(say("noRows")));
}

function levelCell(level, { key, name, barred, tone }) {
  const score = EVALUATION.rows ? level[key] : null;
  const shown = key === "labels" ? count(level.labels) : percent(score);
  const content = barred ? meter(score, tone) : shown;
  return tableCell({ class: barred ? "barred" : "count", "data-name": say(name) }, content);
}
