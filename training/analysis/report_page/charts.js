// What charts share: the plane that they are drawn on, reading it with pointer or keys, the same figures as a table.

function chartPicture(width, height, name, ...children) {
  const attributes = {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    tabindex: "0",
    "aria-label": name,
  };
  return shape("svg", attributes, ...children);
}

// Grid lines and ticks; `at.x` and `at.y` turn values into pixels. An axis is { low, high, ticks, written }.
function plane(width, height, x, y, xName) {
  const box = { left: 38, right: width - 12, top: 12, bottom: height - 40 };
  const share = (axis, value) => (value - axis.low) / (axis.high - axis.low || 1);
  const at = {
    x: (value) => box.left + share(x, value) * (box.right - box.left),
    y: (value) => box.bottom - share(y, value) * (box.bottom - box.top),
  };
  const grid = shape(
    "g",
    { class: "grid", "aria-hidden": "true" },
    y.ticks.map((tick) => [
      shape("line", { x1: box.left, x2: box.right, y1: at.y(tick), y2: at.y(tick) }),
      shape("text", { x: box.left - 8, y: at.y(tick) + 4, "text-anchor": "end" }, y.written(tick)),
    ]),
    x.ticks.map((tick) =>
      shape("text", { x: at.x(tick), y: box.bottom + 18, "text-anchor": "middle" }, x.written(tick)),
    ),
    shape("text", { class: "axis", x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, xName),
  );
  return { box, at, grid };
}

// An axis of scores, in per cent.
function scoreAxis(low = 0, high = 1) {
  const ticks = ticksBetween(low, high, high - low > 0.5 ? 0.2 : 0.1);
  return { low, high, ticks, written: (tick) => Math.round(tick * 100) };
}

function ticksBetween(low, high, step) {
  const number = Math.floor((high - low) / step + 1e-6);
  return Array.from({ length: number + 1 }, (_, index) => low + index * step);
}

// Pointer and arrow keys move over a chart's `number` points: `pointed(event)` is the one at the pointer or -1.
function letRead(picture, number, first, pointed, show, hide) {
  let here = first;
  const read = (index) => {
    if (index < 0) return hide();
    here = Math.min(number - 1, index);
    show(here);
  };
  picture.addEventListener("pointermove", (event) => read(pointed(event)));
  picture.addEventListener("pointerdown", (event) => read(pointed(event)));
  picture.addEventListener("pointerleave", hide);
  picture.addEventListener("blur", hide);
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    read(Math.max(0, here + step));
  });
}

function dataTable(title, heads, rows) {
  const head = element(
    "tr",
    {},
    heads.map((name) => element("th", { scope: "col" }, name)),
  );
  const body = rows.map((row) =>
    element(
      "tr",
      {},
      row.map((cell) => element("td", {}, cell)),
    ),
  );
  const caption = element("caption", { class: "unseen" }, title);
  const table = element("table", { class: "figures" }, caption, element("thead", {}, head), element("tbody", {}, body));
  return element(
    "details",
    { class: "data" },
    element("summary", {}, say("asTable")),
    element("div", { class: "scrolling", tabindex: "0", role: "region", "aria-label": title }, table),
  );
}
