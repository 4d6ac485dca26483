// Promised precision: what share of texts gets an answer at what precision, and how well promises are kept.

const LEVEL_LINES = ["micro_f1", "macro_f1", "micro_precision", "micro_recall"]; // a colour for each level

function promisesSection() {
  const { levels, promises } = EVALUATION.promised;
  const host = drawnToWidth(element("div", { class: "chart" }), (width) => coveragePicture(width, levels, promises));
  const names = levels.map(({ level }, index) =>
    element("li", {}, element("span", { class: `line ${levelLine(index)}`, "aria-hidden": "true" }), say("atLevel", level)),
  );
  const heads = ["promise", "level", "rightOfPromised", "covered", "keptInSplits", "bestCovered"].map((name) => say(name));
  const rows = promises.flatMap((promise) =>
    promise.levels.map((level, index) => [
      percent(promise.precision),
      say("atLevel", index + 1),
      percent(level.precision),
      percent(level.coverage),
      percent(level.kept),
      `${percent(level.kept_coverage)} / ${percent(level.best_coverage)}`,
    ]),
  );
  const table = dataTable(say("promises"), heads, rows);
  table.open = true;
  return section("promises", hintOn("promises"), element("ul", { class: "legend" }, names), host, table);
}

function levelLine(index) {
  return LEVEL_LINES[index % LEVEL_LINES.length];
}

function coveragePicture(width, levels, promises) {
  const height = Math.max(280, Math.min(380, width * 0.5));
  const points = levels.flatMap(({ curve }) => curve);
  const low = Math.floor(Math.min(0.9, ...points.map(([, precision]) => precision)) * 10 + 1e-9) / 10;
  const on = plane(width, height, scoreAxis(), scoreAxis(low, 1), say("covered"));
  const { x, y } = on.at;
  return chartPicture(
    width,
    height,
    say("promises"),
    on.grid,
    levels.map(({ curve }, index) =>
      curveLine(
        on,
        levelLine(index),
        curve.map(([coverage]) => coverage),
        curve.map(([, precision]) => precision),
      ),
    ),
    promises
      .filter(({ precision }) => precision >= low)
      .map(({ precision }) => shape("line", { class: "honest", x1: x(0), y1: y(precision), x2: x(1), y2: y(precision) })),
    promises.flatMap((promise) =>
      promise.levels
        .filter(({ precision }) => typeof precision === "number" && precision >= low)
        .map((level) => shape("circle", { class: "before", cx: x(level.coverage), cy: y(level.precision), r: 4 })),
    ),
  );
}
