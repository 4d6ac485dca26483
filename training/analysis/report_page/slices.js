// How the parts of the sunburst look: slices, their captions, the centre. Radii are in pixels, angles in radians,
// clockwise from the top.

// Where the rings of a view lie in a circle of `size` pixels.
class Rings {
  constructor(view, size) {
    this.base = view.base;
    this.outer = size / 2 - 1;
    this.inner = this.outer * (view.rings > 3 ? 0.2 : view.rings > 1 ? 0.24 : 0.45);
    this.width = (this.outer - this.inner) / view.rings;
  }

  // The outer radius of a level.
  radius(level) {
    return Math.max(this.inner, Math.min(this.outer, this.inner + (level - this.base) * this.width));
  }

  circumference(level) {
    return Math.PI * (this.radius(level - 1) + this.radius(level));
  }
}

// One slice; null where nothing of it is in sight. While the picture moves, `settled` is false: it has no captions.
function sliceOf(arc, index, view, rings, chosen, settled) {
  const span = view.x1 - view.x0 || 1;
  const from = 2 * Math.PI * Math.max(0, (arc.x0 - view.x0) / span);
  const to = 2 * Math.PI * Math.min(1, (arc.x1 - view.x0) / span);
  const r0 = rings.radius(arc.level - 1);
  const r1 = rings.radius(arc.level);
  if (r1 - r0 < 0.5) return null;
  const f1 = f1OfArc(arc);
  const colour = f1 === null ? RANGES.length : rangeOf(f1);
  const mark = arc.node ? (chosen ? "chosen" : "") : "bundle";
  const figure = arc.node ? percent(f1) : `${say("meanF1")} ${percent(f1)}`;
  const name = arc.node ? arc.node.name : compact(arc.nodes.length);
  return shape(
    "g",
    {
      class: `slice f1-${colour} ${mark}`,
      "data-slice": index,
      role: "button",
      tabindex: index === 0 && settled ? "0" : "-1",
      "aria-label": say("sliceLabel", nameOfArc(arc), figure, count(supportOf(arc))),
    },
    shape("path", { d: outlineOf(from, to, r0, r1) }),
    settled ? captionOf(name, from, to, r0, r1, `caption-${index}`) : null,
  );
}

function centreOf(view, inner, settled) {
  const { node, bundle } = view;
  const zoomed = bundle || node.parent;
  const score = bundle
    ? f1OfArc(bundle)
    : node.label
      ? f1Of(node.label)
      : EVALUATION.rows
        ? EVALUATION.summary.micro_f1
        : null;
  const name = bundle ? say("labelCount", bundle.nodes.length) : node.label ? node.name : say("all");
  const large = Math.min(34, inner * 0.5);
  const roomy = inner > 34;
  return shape(
    "g",
    {
      class: zoomed ? "centre zoomed" : "centre",
      role: zoomed ? "button" : "img",
      tabindex: zoomed && settled ? "0" : null,
      "aria-label": zoomed ? `${name}, ${say("up")}` : `${name}: ${say("microF1")} ${percent(score)}`,
      "data-centre": true,
    },
    shape("circle", { r: inner - 2 }),
    shape(
      "text",
      { class: "figure", y: roomy ? 2 : large * 0.35, style: { "font-size": `${large}px` } },
      percent(score),
    ),
    roomy ? shape("text", { class: "name", y: large * 0.75 }, shortened(name, inner * 1.75, 12)) : null,
    zoomed && roomy ? shape("text", { class: "name up", y: -large }, `↑ ${say("up")}`) : null,
  );
}

function pointAt(angle, radius) {
  return `${(radius * Math.sin(angle)).toFixed(2)} ${(-radius * Math.cos(angle)).toFixed(2)}`;
}

function outlineOf(from, to, r0, r1) {
  const end = Math.min(to, from + 2 * Math.PI - 1e-4);
  const far = end - from > Math.PI ? 1 : 0;
  const there = `M${pointAt(from, r1)}A${r1} ${r1} 0 ${far} 1 ${pointAt(end, r1)}`;
  const back = `L${pointAt(end, r0)}A${r0} ${r0} 0 ${far} 0 ${pointAt(from, r0)}Z`;
  return there + back;
}

// The name of a slice along or across its ring, whichever shows more of it; nothing where nothing readable fits.
function captionOf(name, from, to, r0, r1, id) {
  const size = 11.5; // as the style sheet has it
  const radius = (r0 + r1) / 2;
  const length = (to - from) * radius;
  const along = r1 - r0 >= 16 ? length - 10 : 0;
  const across = length >= 13 ? r1 - r0 - 8 : 0;
  const tangential = along >= Math.min(across, widthOf(name, size));
  const text = shortened(name, tangential ? along : across, size);
  if (!text) return null;
  return tangential ? captionAlong(text, from, to, radius, id) : captionAcross(text, (from + to) / 2, radius);
}

// Text on an arc, its head outwards on the upper half and inwards on the lower one.
function captionAlong(text, from, to, radius, id) {
  const middle = (from + to) / 2;
  const half = Math.min(to - from, 2 * Math.PI - 0.01) / 2;
  const lower = middle > Math.PI / 2 && middle < 1.5 * Math.PI;
  const [start, end] = lower ? [middle + half, middle - half] : [middle - half, middle + half];
  const turn = `${half > Math.PI / 2 ? 1 : 0} ${lower ? 0 : 1}`;
  const way = `M${pointAt(start, radius)}A${radius} ${radius} 0 ${turn} ${pointAt(end, radius)}`;
  return shape(
    "g",
    {},
    shape("defs", {}, shape("path", { id, d: way })),
    shape("text", {}, shape("textPath", { href: `#${id}`, startOffset: "50%" }, text)),
  );
}

function captionAcross(text, middle, radius) {
  const degrees = (middle * 180) / Math.PI;
  const turn = degrees < 180 ? degrees - 90 : degrees + 90;
  return shape("text", { transform: `translate(${pointAt(middle, radius)}) rotate(${turn.toFixed(1)})` }, text);
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]|[\u{1f000}-\u{3ffff}]/u;

// An estimate that needs no layout: a text's width in pixels.
function widthOf(text, size) {
  let width = 0;
  for (const character of text) {
    if (WIDE.test(character)) width += 1;
    else if (/[fijlrt.,:;'!| ]/.test(character)) width += 0.38;
    else width += /[A-Zmw@%_]/.test(character) ? 0.8 : 0.6;
  }
  return width * size;
}

// `text`, or as much of it as fits into `width` pixels with an ellipsis; empty where that is less than two characters.
function shortened(text, width, size) {
  const room = text.slice(0, Math.ceil((3 * Math.max(0, width)) / size) + 2);
  if (room === text && widthOf(text, size) <= width) return text;
  let kept = "";
  for (const character of room) {
    if (widthOf(`${kept}${character}…`, size) > width) break;
    kept += character;
  }
  return [...kept].length >= 2 ? `${kept}…` : "";
}
