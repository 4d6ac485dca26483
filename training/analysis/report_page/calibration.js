// The reliability diagram: how often labels are right at each confidence, and below it how many decisions there are.

const COUNTS_HEIGHT = 84; // pixels

// The hint of a section, and whether what it shows was found on the very rows that it is shown on.
function hintOn(name) {
  const hint = say(`${name}Hint`);
  return EVALUATION.found_here.includes(name) ? `${hint} ${say("foundHere")}` : hint;
}

function calibrationSection() {
  const bins = EVALUATION.calibration.filter((bin) => bin.count > 0);
  if (!bins.length) return section("calibration", null, nothing(say("noCalibration")));
  const host = drawnToWidth(element("div", { class: "chart" }), (width) => reliability(width, bins));
  const rows = bins.map((bin) => [binName(bin), percent(bin.confidence), percent(bin.accuracy), count(bin.count)]);
  const heads = [say("range"), say("confidence"), say("accuracy"), say("decisions")];
  const table = dataTable(say("calibration"), heads, rows);
  const before = EVALUATION.uncalibrated;
  const lines = [calibrationErrors("calibrationError", EVALUATION.summary)];
  if (before) lines.push(calibrationErrors("uncalibratedError", before));
  const kinds = ["right", "over", "under", ...(before ? ["before"] : [])].map((kind) =>
    element("li", {}, element("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), say(`${kind}Share`)),
  );
  return section("calibration", hintOn("calibration"), element("ul", { class: "legend" }, kinds), host, lines, table);
}

function calibrationErrors(name, figures) {
  const error = (key) => element("strong", {}, `${percent(figures[key], 2)}%`);
  const all = [`${say(name)} `, error("calibration_error")];
  const answered = [` · ${say("answeredLabels")} `, error("answered_calibration_error")];
  return element("p", { class: "threshold" }, all, typeof figures.answered_calibration_error === "number" ? answered : null);
}

function binName(bin) {
  return `${decimal(bin.low)}–${decimal(bin.high)}`;
}

function reliability(width, bins) {
  const height = Math.max(310, Math.min(410, width * 0.82));
  const on = plane(width, height - COUNTS_HEIGHT, scoreAxis(), scoreAxis(), say("confidence"));
  const most = Math.max(...bins.map((bin) => bin.count));
  const parts = bins.map((bin, index) => binPicture(on, bin, index, height, most));
  const { x, y } = on.at;
  const before = (EVALUATION.uncalibrated?.calibration ?? []).filter((bin) => bin.count > 0);
  const name = `${say("calibration")}: ${say("calibrationError")} ${percent(EVALUATION.summary.calibration_error, 2)}`;
  const picture = chartPicture(
    width,
    height,
    name,
    on.grid,
    parts,
    before.map((bin) => shape("circle", { class: "before", cx: x(bin.confidence), cy: y(bin.accuracy), r: 3.5 })),
    shape("line", { class: "honest", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    shape("text", { class: "axis", x: on.box.left, y: height - COUNTS_HEIGHT + 14 }, say("decisionsPerRange")),
  );
  const mark = (index) => parts.forEach((part, position) => part.classList.toggle("read", position === index));
  const show = (index) => {
    const bin = bins[index];
    const frame = picture.getBoundingClientRect();
    const said = [
      `${say("confidence")} ${percent(bin.confidence)}`,
      `${say("accuracy")} ${percent(bin.accuracy)}`,
      `${say("decisions")} ${count(bin.count)}`,
    ];
    mark(index);
    const figures = said.map((figure) => element("span", {}, figure));
    const top = frame.top + y(bin.accuracy);
    showTooltip(frame.left + x((bin.low + bin.high) / 2), top, element("strong", {}, binName(bin)), figures);
  };
  const hide = () => {
    mark(-1);
    hideTooltip();
  };
  const pointed = (event) => Number(event.target.closest("[data-bin]")?.dataset.bin ?? -1);
  letRead(picture, bins.length, -1, pointed, show, hide);
  return picture;
}

function binPicture({ at, box }, bin, index, height, most) {
  const x = at.x(bin.low) + 1.5;
  const width = Math.max(1, at.x(bin.high) - at.x(bin.low) - 3);
  const [top, bottom] = [at.y(bin.accuracy), at.y(bin.confidence)].sort((a, b) => a - b);
  const size = Math.max(2, (Math.log1p(bin.count) / Math.log1p(most)) * (COUNTS_HEIGHT - 40));
  const gap = bin.confidence > bin.accuracy ? "over" : "under";
  const written = compact(bin.count);
  return shape(
    "g",
    { class: "bin", "data-bin": index },
    shape("rect", { class: "touch", x, y: box.top, width, height: height - box.top }),
    shape("rect", { class: "right", x, y: bottom, width, height: box.bottom - bottom }),
    shape("rect", { class: gap, x, y: top, width, height: Math.max(0.5, bottom - top) }),
    shape("circle", { cx: at.x(bin.confidence), cy: at.y(bin.accuracy), r: 3.5 }),
    shape("rect", { class: "count", x, y: height - size, width, height: size, rx: 2 }),
    widthOf(written, 10) <= width + 1
      ? shape("text", { x: x + width / 2, y: height - size - 4, "text-anchor": "middle" }, written)
      : null,
  );
}
