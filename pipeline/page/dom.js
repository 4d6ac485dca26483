// Elements and figures. Text only ever enters the page as a text node.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else if (name === "style")
      for (const [property, set] of Object.entries(value)) node.style.setProperty(property, set);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG_NAMESPACE, name), attributes, children);
}

const SCOPES = { columnheader: "col", rowheader: "row" };

// Parts of a table with their roles spelt out: narrow screens lay it out anew, which would take them away.
const tablePart =
  (name, role) =>
  (attributes, ...children) =>
    element(name, { role, scope: SCOPES[role], ...attributes }, ...children);
const tableHead = tablePart("thead", "rowgroup");
const tableBody = tablePart("tbody", "rowgroup");
const tableRow = tablePart("tr", "row");
const tableCell = tablePart("td", "cell");
const columnHead = tablePart("th", "columnheader");
const rowHead = tablePart("th", "rowheader");

function percent(score, digits = 1) {
  return typeof score === "number" ? (100 * score).toFixed(digits) : "–";
}

function decimal(value) {
  return typeof value === "number" ? value.toFixed(2) : "–";
}

function compact(number) {
  return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(number);
}

// F1 ranges that get a colour each: the lower bounds in per cent, weakest first.
const RANGES = [0, 50, 70, 80, 90, 95];

function rangeOf(f1) {
  return RANGES.findLastIndex((low) => f1 * 100 >= low - 1e-9);
}

function rangeName(range) {
  if (range === RANGES.length) return say("unseen");
  if (range === 0) return `< ${RANGES[1]}`;
  if (range === RANGES.length - 1) return `≥ ${RANGES[range]}`;
  return `${RANGES[range]}–${RANGES[range + 1]}`;
}

// A label without evaluated rows has no scores; its range is the one after the last.
function rangeOfLabel(label) {
  return label.dev.support > 0 ? rangeOf(label.dev.f1) : RANGES.length;
}

function f1Of(label) {
  return label.dev.support > 0 ? label.dev.f1 : null;
}

function precisionOf(label) {
  return label.dev.support > 0 ? label.dev.precision : null;
}

function recallOf(label) {
  return label.dev.support > 0 ? label.dev.recall : null;
}

// A bar of a score, coloured by its range unless told otherwise; and the same with its figure beside it.
function bar(score, tone = `f1-${score === null ? RANGES.length : rangeOf(score)}`) {
  const filled = element("span", { style: { width: `${100 * (score || 0)}%` } });
  return element("span", { class: `bar ${tone}`, "aria-hidden": "true" }, filled);
}

function meter(score, tone) {
  return element("span", { class: "meter" }, bar(score, tone), element("span", { class: "number" }, percent(score)));
}

function segments(path) {
  return path.split(DATA.separator);
}

function readable(path) {
  return segments(path).join(" › ");
}

// A label path whose last segment stands out; `words` are marked.
function pathElement(path, words = []) {
  const parts = segments(path);
  const last = parts.pop();
  const above = parts.map((part) => [
    element("bdi", {}, ...marked(part, words)),
    element("span", { class: "then" }, " › "),
  ]);
  const leaf = element("bdi", { class: "leaf" }, ...marked(last, words));
  return element(
    "span",
    { class: "path", title: readable(path) },
    parts.length ? element("span", { class: "above" }, above) : null,
    leaf,
  );
}

// `text` as nodes in which the given lower-case words are marked.
function marked(text, words) {
  const lower = text.toLowerCase();
  if (!words.length || lower.length !== text.length) return [text];
  const nodes = [];
  let done = 0;
  for (;;) {
    let start = -1;
    let length = 0;
    for (const word of words) {
      const found = lower.indexOf(word, done);
      if (found >= 0 && (start < 0 || found < start || (found === start && word.length > length))) {
        start = found;
        length = word.length;
      }
    }
    if (start < 0) break;
    if (start > done) nodes.push(text.slice(done, start));
    nodes.push(element("mark", {}, text.slice(start, start + length)));
    done = start + length;
  }
  nodes.push(text.slice(done));
  return nodes;
}

// Short texts that stay whole where a line ends.
function pieces(...texts) {
  return element(
    "span",
    { class: "pieces" },
    texts.map((text) => element("span", {}, text)),
  );
}

function wordsOf(query) {
  return query.toLowerCase().split(/\s+/).filter(Boolean);
}

function section(id, hint, ...children) {
  const heading = element("h2", { id: `${id}-heading` }, say(id));
  return element(
    "section",
    { id, class: "card", "aria-labelledby": `${id}-heading` },
    element("header", {}, heading, hint ? element("p", { class: "hint" }, hint) : null),
    ...children,
  );
}

function nothing(message) {
  return element("p", { class: "nothing" }, message);
}

function field(name, control) {
  return element("label", { class: "field" }, element("span", {}, name), control);
}

function choice(options, chosen, choose) {
  const control = element("select", { change: () => choose(control.value) });
  control.append(...options.map(([value, name]) => element("option", { value, selected: value === chosen }, name)));
  return control;
}

// A search box that reports what it holds once typing pauses.
function searchBox(placeholder, value, report, pause = 120) {
  let waiting = 0;
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => report(box.value), pause);
  };
  const box = element("input", {
    type: "search",
    placeholder,
    value,
    autocomplete: "off",
    spellcheck: "false",
    input: later,
  });
  return box;
}

// A list that grows by `step` entries at a time: `build` makes one entry, `host` holds them. What it gives stands below
// the list; by its `extend(entries)` further ones come behind those that there are.
function growingList(host, entries, step, build) {
  const more = element("button", { type: "button", class: "more", click: () => grow(step) });
  const shown = element("span", { class: "hint" });
  let drawn = 0;
  function grow(number) {
    const next = entries.slice(drawn, drawn + number);
    host.append(...next.map(build));
    drawn += next.length;
    more.hidden = drawn >= entries.length;
    shown.hidden = entries.length <= step;
    more.replaceChildren(say("showMore", Math.min(step, entries.length - drawn)));
    shown.replaceChildren(say("shownOf", drawn, entries.length));
  }
  grow(step);
  const below = element("p", { class: "growing" }, more, shown);
  const extend = (longer) => {
    entries = longer;
    grow(Math.max(0, step - drawn));
  };
  return Object.assign(below, { extend });
}

// Calls `draw(width)` now and whenever the width of `host` changes; the latest drawing is all that `host` holds.
function drawnToWidth(host, draw) {
  let width = 0;
  const observer = new ResizeObserver(() => {
    const now = Math.floor(host.clientWidth);
    if (!now || now === width) return;
    width = now;
    host.replaceChildren(draw(width));
  });
  observer.observe(host);
  return host;
}

const tooltip = element("div", { class: "tooltip", hidden: true, "aria-hidden": "true" });

function showTooltip(x, y, ...content) {
  tooltip.replaceChildren(...content.flat());
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = Math.max(8, Math.min(x - width / 2, document.documentElement.clientWidth - width - 8));
  const top = y - height - 14 < 8 ? y + 18 : y - height - 14;
  tooltip.style.setProperty("left", `${left}px`);
  tooltip.style.setProperty("top", `${top}px`);
}

function hideTooltip() {
  tooltip.hidden = true;
}
