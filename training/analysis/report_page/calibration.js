// The reliability diagram: how often labels are right at each confidence, and how many there are.

function calibrationSection() {
  const bins = EVALUATION.calibration.filter((bin) => bin.count > 0);
  if (!bins.length) return section("calibration", null, nothing(say("noCalibration")));
  const host = drawnToWidth(element("div", { class: "chart" }), (width) => reliability(width, bins));
  const range = (bin) => `${decimal(bin.low)}–${decimal(bin.high)}`;
  const rows = bins.map((bin) => [range(bin), percent(bin.confidence), percent(bin.accuracy), count(bin.count)]);
  const table = dataTable(say("calibration"), [say("range"), say("confidence"), say("accuracy"), say("decisions")], rows);
  const error = element("p", { class: "threshold" }, `${say("calibrationError")} `, element("strong", {}, `${percent(EVALUATION.summary.calibration_error, 2)}%`));
  const key = element(
    "ul",
    { class: "legend" },
    ["right", "over", "under"].map((kind) => element("li", {}, element("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), say(`${kind}Share`))),
  );
  return section("calibration", say("calibrationHint"), key, host, error, table);
}

function reliability(width, bins) {
  const height = Math.max(310, Math.min(410, width * 0.82));
  const low = 84; // pixels for the counts below
  const ticks = ticksBetween(0, 1, 0.2);
  const { box, at, grid } = plane(width, height - low, [0, 1], [0, 1], ticks, ticks, say("confidence"), (tick) => Math.round(tick * 100));
  const most = Math.max(...bins.map((bin) => bin.count));
  const tall = low - 40;
  const parts = bins.map((bin, index) => {
    const left = at.x(bin.low) + 1.5;
    const wide = Math.max(1, at.x(bin.high) - at.x(bin.low) - 3);
    const gap = [at.y(bin.accuracy), at.y(bin.confidence)].sort((a, b) => a - b);
    const size = Math.max(2, (Math.log1p(bin.count) / Math.log1p(most)) * tall);
    const written = compact(bin.count);
    return shape(
      "g",
      { class: "bin", "data-bin": index },
      shape("rect", { class: "touch", x: left, y: box.top, width: wide, height: height - box.top }),
      shape("rect", { class: "right", x: left, y: gap[1], width: wide, height: box.bottom - gap[1] }),
      shape("rect", { class: bin.confidence > bin.accuracy ? "over" : "under", x: left, y: gap[0], width: wide, height: Math.max(0.5, gap[1] - gap[0]) }),
      shape("circle", { cx: at.x(bin.confidence), cy: at.y(bin.accuracy), r: 3.5 }),
      shape("rect", { class: "count", x: left, y: height - size, width: wide, height: size, rx: 2 }),
      widthOf(written, 10) <= wide + 1 ? shape("text", { x: left + wide / 2, y: height - size - 4, "text-anchor": "middle", "font-size": 10 }, written) : null,
    );
  });
  const diagonal = shape("line", { class: "honest", x1: at.x(0), y1: at.y(0), x2: at.x(1), y2: at.y(1) });
  const counted = shape("text", { class: "axis", x: box.left, y: height - low + 14 }, say("decisionsPerRange"));
  const name = `${say("calibration")}: ${say("calibrationError")} ${percent(EVALUATION.summary.calibration_error, 2)}`;
  const picture = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": name }, grid, parts, diagonal, counted);
  let here = -1;
  function read(index) {
    here = Math.max(0, Math.min(bins.length - 1, index));
    const bin = bins[here];
    const frame = picture.getBoundingClientRect();
    parts.forEach((part, position) => part.classList.toggle("read", position === here));
    showTooltip(
      frame.left + at.x((bin.low + bin.high) / 2),
      frame.top + at.y(bin.accuracy),
      element("strong", {}, `${decimal(bin.low)}–${decimal(bin.high)}`),
      element("span", {}, `${say("confidence")} ${percent(bin.confidence)}`),
      element("span", {}, `${say("accuracy")} ${percent(bin.accuracy)}`),
      element("span", {}, `${say("decisions")} ${count(bin.count)}`),
    );
  }
  function leave() {
    parts.forEach((part) => part.classList.remove("read"));
    hideTooltip();
  }
  const point = (event) => {
    const part = event.target.closest("[data-bin]");
    if (part) read(Number(part.dataset.bin));
    else leave();
  };
  letRead(picture, point, (step) => read(here + step), leave);
  return picture;
}
