// What charts share, and the threshold curve.

const CURVES = [
  { key: "micro_f1", name: "microF1" },
  { key: "macro_f1", name: "macroF1" },
  { key: "micro_precision", name: "precision" },
  { key: "micro_recall", name: "recall" },
];

function dataTable(title, heads, rows) {
  return element(
    "details",
    { class: "data" },
    element("summary", {}, say("asTable")),
    element(
      "div",
      { class: "scrolling", tabindex: "0", role: "region", "aria-label": title },
      element(
        "table",
        { class: "figures" },
        element("caption", { class: "unseen" }, title),
        element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
        element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell))))),
      ),
    ),
  );
}

// A plane from (x0, y0) to (x1, y1) with grid lines; `at.x` and `at.y` turn values into pixels.
function plane(width, height, [x0, x1], [y0, y1], xTicks, yTicks, xName, xFormat) {
  const box = { left: 38, right: width - 12, top: 12, bottom: height - 40 };
  const at = {
    x: (value) => box.left + ((value - x0) / (x1 - x0 || 1)) * (box.right - box.left),
    y: (value) => box.bottom - ((value - y0) / (y1 - y0 || 1)) * (box.bottom - box.top),
  };
  const grid = shape(
    "g",
    { class: "grid", "aria-hidden": "true" },
    yTicks.map((tick) => [
      shape("line", { x1: box.left, x2: box.right, y1: at.y(tick), y2: at.y(tick) }),
      shape("text", { x: box.left - 8, y: at.y(tick) + 4, "text-anchor": "end" }, Math.round(tick * 100)),
    ]),
    xTicks.map((tick) => shape("text", { x: at.x(tick), y: box.bottom + 18, "text-anchor": "middle" }, xFormat(tick))),
    shape("text", { class: "axis", x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, xName),
  );
  return { box, at, grid };
}

function ticksBetween(low, high, step) {
  const number = Math.round((high - low) / step);
  return Array.from({ length: number + 1 }, (_, index) => low + index * step);
}

function thresholdsSection() {
  const curve = EVALUATION.threshold_curve;
  const drawn = CURVES.filter(({ key }) => EVALUATION.rows && curve?.[key]?.some((score) => typeof score === "number"));
  if (!drawn.length || !curve.thresholds.length) return section("thresholds", null, nothing(say("noCurve")));
  const best = curve.micro_f1.reduce((top, score, index) => (score > curve.micro_f1[top] ? index : top), 0);
  const host = drawnToWidth(element("div", { class: "chart" }), (width) => curvePicture(width, curve, drawn, best));
  const key = element(
    "ul",
    { class: "legend" },
    drawn.map(({ key: name, name: title }) => element("li", {}, element("span", { class: `line ${name}`, "aria-hidden": "true" }), say(title))),
  );
  const rows = curve.thresholds.map((threshold, index) => [decimal(threshold), ...drawn.map(({ key: name }) => percent(curve[name][index], 2))]);
  const table = dataTable(say("thresholds"), [say("threshold"), ...drawn.map(({ name }) => say(name))], rows);
  return section("thresholds", say("curveHint"), key, host, table);
}

function curvePicture(width, curve, drawn, best) {
  const height = Math.max(280, Math.min(410, width * 0.82));
  const scores = drawn.flatMap(({ key }) => curve[key]).filter((score) => typeof score === "number");
  const low = Math.max(0, Math.floor(Math.min(...scores) * 10 + 1e-9) / 10);
  const high = Math.min(1, Math.ceil(Math.max(...scores) * 10 - 1e-9) / 10);
  const first = curve.thresholds[0];
  const last = curve.thresholds[curve.thresholds.length - 1];
  const yTicks = ticksBetween(low, Math.max(high, low + 0.1), high - low > 0.5 ? 0.2 : 0.1);
  const { box, at, grid } = plane(width, height, [first, last], [low, Math.max(high, low + 0.1)], thresholdTicks(first, last), yTicks, say("threshold"), decimal);
  const lines = drawn.map(({ key }) => {
    const points = curve.thresholds.map((threshold, index) => [threshold, curve[key][index]]).filter(([, score]) => typeof score === "number");
    return shape("polyline", { class: `line ${key}`, points: points.map(([x, y]) => `${at.x(x).toFixed(1)},${at.y(y).toFixed(1)}`).join(" ") });
  });
  const top = { x: at.x(curve.thresholds[best]), y: at.y(curve.micro_f1[best]) };
  const side = top.x > (box.left + box.right) / 2 ? "end" : "start";
  const said = say("best", percent(curve.micro_f1[best], 2), decimal(curve.thresholds[best]));
  const mark = shape(
    "g",
    { class: "best" },
    shape("line", { x1: top.x, x2: top.x, y1: top.y, y2: box.bottom }),
    shape("circle", { cx: top.x, cy: top.y, r: 5 }),
    shape("text", { x: top.x + (side === "end" ? -8 : 8), y: box.bottom - 10, "text-anchor": side }, said),
  );
  const cross = shape("line", { class: "cross", y1: box.top, y2: box.bottom, visibility: "hidden" });
  const picture = shape(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": `${say("thresholds")}: ${say("microF1")} ${said}` },
    grid,
    lines,
    mark,
    cross,
  );
  let here = best;
  function read(index) {
    here = Math.max(0, Math.min(curve.thresholds.length - 1, index));
    const x = at.x(curve.thresholds[here]);
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    cross.setAttribute("visibility", "visible");
    const frame = picture.getBoundingClientRect();
    const figures = drawn.map(({ key, name }) => element("span", {}, element("i", { class: `line ${key}` }), `${say(name)} ${percent(curve[key][here], 2)}`));
    showTooltip(frame.left + x, frame.top + box.top + 16, element("strong", {}, `${say("threshold")} ${decimal(curve.thresholds[here])}`), figures);
  }
  function leave() {
    cross.setAttribute("visibility", "hidden");
    hideTooltip();
  }
  const nearest = (x) => curve.thresholds.reduce((top, value, index) => (Math.abs(at.x(value) - x) < Math.abs(at.x(curve.thresholds[top]) - x) ? index : top), 0);
  letRead(picture, (event) => read(nearest(event.clientX - picture.getBoundingClientRect().left)), (step) => read(here + step), leave);
  return picture;
}

function thresholdTicks(first, last) {
  const ticks = ticksBetween(Math.ceil(first * 5 - 1e-9) / 5, Math.floor(last * 5 + 1e-9) / 5, 0.2);
  return ticks.length > 1 ? ticks : [first, last];
}

// Pointer and arrow keys move the reading of a chart.
function letRead(picture, point, step, leave) {
  picture.addEventListener("pointermove", point);
  picture.addEventListener("pointerdown", point);
  picture.addEventListener("pointerleave", leave);
  picture.addEventListener("blur", leave);
  picture.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    step(event.key === "ArrowRight" ? 1 : -1);
  });
}
