// The threshold curve: what one threshold for all labels would give.

const CURVES = [
  { key: "micro_f1", name: "microF1" },
  { key: "macro_f1", name: "macroF1" },
  { key: "micro_precision", name: "microPrecision" },
  { key: "micro_recall", name: "microRecall" },
];

function thresholdsSection() {
  const curve = EVALUATION.threshold_curve;
  const drawn = CURVES.filter(({ key }) => EVALUATION.rows && curve[key]?.some((score) => typeof score === "number"));
  if (!drawn.some(({ key }) => key === "micro_f1")) return section("thresholds", null, nothing(say("noCurve")));
  const best = curve.micro_f1.reduce((top, score, index) => (score > curve.micro_f1[top] ? index : top), 0);
  const host = drawnToWidth(element("div", { class: "chart" }), (width) => curvePicture(width, curve, drawn, best));
  const lines = drawn.map(({ key, name }) =>
    element("li", {}, element("span", { class: `line ${key}`, "aria-hidden": "true" }), say(name)),
  );
  const rows = curve.thresholds.map((threshold, index) => [
    decimal(threshold),
    ...drawn.map(({ key }) => percent(curve[key][index], 2)),
  ]);
  const table = dataTable(say("thresholds"), [say("threshold"), ...drawn.map(({ name }) => say(name))], rows);
  return section("thresholds", say("curveHint"), element("ul", { class: "legend" }, lines), host, table);
}

function curvePicture(width, curve, drawn, best) {
  const height = Math.max(280, Math.min(410, width * 0.82));
  const { thresholds } = curve;
  const scores = drawn.flatMap(({ key }) => curve[key]).filter((score) => typeof score === "number");
  const low = Math.max(0, Math.floor(Math.min(...scores) * 10 + 1e-9) / 10);
  const high = Math.max(low + 0.1, Math.min(1, Math.ceil(Math.max(...scores) * 10 - 1e-9) / 10));
  const on = plane(width, height, thresholdAxis(thresholds), scoreAxis(low, high), say("threshold"));
  const said = say("best", percent(curve.micro_f1[best], 2), decimal(thresholds[best]));
  const cross = shape("line", { class: "cross", y1: on.box.top, y2: on.box.bottom, visibility: "hidden" });
  const picture = chartPicture(
    width,
    height,
    `${say("thresholds")}: ${say("microF1")} ${said}`,
    on.grid,
    drawn.map(({ key }) => curveLine(on, key, thresholds, curve[key])),
    bestMark(on, thresholds[best], curve.micro_f1[best], said),
    cross,
  );
  const show = (index) => {
    const x = on.at.x(thresholds[index]);
    for (const [name, value] of [
      ["x1", x],
      ["x2", x],
      ["visibility", "visible"],
    ])
      cross.setAttribute(name, value);
    const frame = picture.getBoundingClientRect();
    const figures = drawn.map(({ key, name }) =>
      element("span", {}, element("i", { class: key }), `${say(name)} ${percent(curve[key][index], 2)}`),
    );
    const title = element("strong", {}, `${say("threshold")} ${decimal(thresholds[index])}`);
    showTooltip(frame.left + x, frame.top + on.box.top + 16, title, figures);
  };
  const hide = () => {
    cross.setAttribute("visibility", "hidden");
    hideTooltip();
  };
  const pointed = (event) => {
    const distance = (index) =>
      Math.abs(on.at.x(thresholds[index]) + picture.getBoundingClientRect().left - event.clientX);
    return thresholds.reduce((nearest, _, index) => (distance(index) < distance(nearest) ? index : nearest), 0);
  };
  letRead(picture, thresholds.length, best, pointed, show, hide);
  return picture;
}

function thresholdAxis(thresholds) {
  const low = thresholds[0];
  const high = thresholds[thresholds.length - 1];
  const round = ticksBetween(Math.ceil(low * 5 - 1e-9) / 5, high, 0.2);
  return { low, high, ticks: round.length > 1 ? round : [low, high], written: decimal };
}

function curveLine({ at }, key, thresholds, scores) {
  const known = thresholds
    .map((threshold, index) => [threshold, scores[index]])
    .filter(([, y]) => typeof y === "number");
  const points = known.map(([x, y]) => `${at.x(x).toFixed(1)},${at.y(y).toFixed(1)}`).join(" ");
  return shape("polyline", { class: `line ${key}`, points });
}

function bestMark({ at, box }, threshold, score, said) {
  const x = at.x(threshold);
  const right = x > (box.left + box.right) / 2;
  return shape(
    "g",
    { class: "best" },
    shape("line", { x1: x, x2: x, y1: at.y(score), y2: box.bottom }),
    shape("circle", { cx: x, cy: at.y(score), r: 5 }),
    shape("text", { x: x + (right ? -8 : 8), y: box.bottom - 10, "text-anchor": right ? "end" : "start" }, said),
  );
}
