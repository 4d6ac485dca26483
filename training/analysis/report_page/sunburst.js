// The hierarchy as rings around a centre: one ring per level, zoomed by choosing a slice.

function sunburst(tree, host, follow) {
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let view = viewOf(tree.root);
  let size = 0;
  let arcs = [];
  let picture = null;
  let chosen = null; // the path of the label that stays marked
  let frame = 0;

  const geometry = (v) => {
    const outer = size / 2 - 1;
    const inner = outer * (v.rings > 3 ? 0.2 : v.rings > 1 ? 0.27 : 0.45);
    return { outer, inner, ring: (outer - inner) / v.rings };
  };

  const radiusAt = (v, g, level) => Math.max(g.inner, Math.min(g.outer, g.inner + (level - v.base) * g.ring));

  function draw(v, settled) {
    const g = geometry(v);
    arcs = arcsOf(v, v.base === view.base ? view.node : tree.root, (level) => Math.PI * (radiusAt(v, g, level - 1) + radiusAt(v, g, level)));
    const span = v.x1 - v.x0 || 1;
    const slices = arcs.map((arc, index) => {
      const from = 2 * Math.PI * Math.max(0, (arc.x0 - v.x0) / span);
      const to = 2 * Math.PI * Math.min(1, (arc.x1 - v.x0) / span);
      const r0 = radiusAt(v, g, arc.level - 1);
      const r1 = radiusAt(v, g, arc.level);
      if (r1 - r0 < 0.5) return null;
      return slice(arc, index, from, to, r0, r1, settled);
    });
    picture.replaceChildren(...slices.filter(Boolean), centre(g, settled));
  }

  function slice(arc, index, from, to, r0, r1, settled) {
    const f1 = f1OfArc(arc);
    const colour = f1 === null ? RANGES.length : rangeOf(f1);
    const name = nameOfArc(arc);
    const marks = arc.node ? (arc.node.path === chosen ? " chosen" : "") : " bundle";
    const figure = arc.node ? percent(f1) : `${say("meanF1")} ${percent(f1)}`;
    return shape(
      "g",
      {
        class: `slice f1-${colour}${marks}`,
        "data-slice": index,
        role: "treeitem",
        tabindex: index === 0 && settled ? "0" : "-1",
        "aria-level": arc.level,
        "aria-label": say("sliceLabel", name, figure, count(supportOf(arc))),
      },
      shape("path", { d: ring(from, to, r0, r1) }),
      settled ? caption(arc.node ? arc.node.name : `+${compact(arc.nodes.length)}`, from, to, r0, r1) : null,
    );
  }

  function centre(g, settled) {
    const node = view.node;
    const zoomed = view.bundle || node !== tree.root;
    const f1 = node === tree.root ? EVALUATION.summary.micro_f1 : f1Of(node.label);
    const name = view.bundle ? say("bundle", view.bundle.nodes.length) : node === tree.root ? say("all") : node.name;
    const score = view.bundle ? f1OfArc(view.bundle) : EVALUATION.rows || node !== tree.root ? f1 : null;
    const large = Math.min(34, g.inner * 0.5);
    return shape(
      "g",
      {
        class: `centre${zoomed ? " zoomed" : ""}`,
        role: zoomed ? "button" : "img",
        tabindex: zoomed && settled ? "0" : null,
        "aria-label": zoomed ? `${name}, ${say("up")}` : `${name}: ${say("microF1")} ${percent(score)}`,
        "data-centre": true,
      },
      shape("circle", { r: g.inner - 2 }),
      shape("text", { class: "figure", y: g.inner > 34 ? 2 : large * 0.35, style: { "font-size": `${large}px` } }, percent(score)),
      g.inner > 34 ? shape("text", { class: "name", y: large * 0.75 }, shortened(name, g.inner * 1.6, 12)) : null,
      zoomed && g.inner > 34 ? shape("text", { class: "name up", y: -large }, `↑ ${say("up")}`) : null,
    );
  }

  function show(target, focus = false) {
    const start = { ...view };
    view = target;
    hideTooltip();
    cancelAnimationFrame(frame);
    follow({ view });
    const finish = () => {
      draw(view, true);
      if (focus) picture.querySelector(".slice")?.focus();
    };
    if (reduced || !size || document.hidden) return size ? finish() : undefined;
    const began = performance.now();
    const step = (now) => {
      const share = Math.min(1, (now - began) / 420);
      if (share === 1) return finish();
      const eased = share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
      const between = (key) => start[key] + (target[key] - start[key]) * eased;
      draw({ x0: between("x0"), x1: between("x1"), base: between("base"), rings: between("rings") }, false);
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  }

  function up(focus = false) {
    if (view.bundle) show(viewOf(view.node), focus);
    else if (view.node.parent) show(viewOf(view.node.parent), focus);
  }

  function choose(arc, focus = false) {
    chosen = arc.node ? arc.node.path : null;
    if (!arc.node) show(viewOfBundle(arc), focus);
    else if (arc.node.height > 0) show(viewOf(arc.node), focus);
    else {
      draw(view, true);
      if (focus) picture.querySelector(".chosen")?.focus();
      follow({ arc, chosen: true });
    }
  }

  // Brings a label into view and marks it, through as many bundles as hide it.
  function reveal(path) {
    const node = tree.nodes.get(path);
    chosen = path;
    let target = viewOf(node.height > 0 ? node : node.parent);
    if (node.height === 0 && node.weight > 0) {
      for (let tries = 0; tries < 4; tries += 1) {
        const g = geometry(target);
        const hidden = arcsOf(target, target.node, (level) => Math.PI * (radiusAt(target, g, level - 1) + radiusAt(target, g, level)));
        const bundle = hidden.find((arc) => arc.nodes?.includes(node));
        if (!bundle || bundle.nodes.length === target.bundle?.nodes.length) break;
        target = viewOfBundle(bundle);
      }
    }
    show(target);
    follow({ arc: arcOfNode(node), chosen: true });
  }

  function arcAt(event) {
    const found = event.target.closest("[data-slice]");
    return found ? arcs[Number(found.dataset.slice)] : null;
  }

  function hover(event) {
    const arc = arcAt(event);
    follow({ arc });
    if (!arc || event.pointerType === "touch") return hideTooltip();
    const f1 = f1OfArc(arc);
    const figures = `${arc.node ? say("f1") : say("meanF1")} ${percent(f1)} · ${say("support")} ${count(supportOf(arc))}`;
    showTooltip(event.clientX, event.clientY, element("strong", {}, nameOfArc(arc)), element("span", {}, figures));
  }

  function press(event) {
    const arc = arcAt(event);
    if (event.target.closest("[data-centre]")) up();
    else if (arc) choose(arc);
  }

  function key(event) {
    if (event.key === "Escape" || event.key === "Backspace") up(true);
    else if (event.key === "Enter" || event.key === " ") {
      const arc = arcAt(event);
      if (arc) choose(arc, true);
      else up(true);
    } else if (event.key.startsWith("Arrow")) {
      const here = arcAt(event);
      const next = here ? neighbour(here, event.key) : arcs[0];
      if (next) picture.querySelector(`[data-slice="${arcs.indexOf(next)}"]`).focus();
    } else return;
    event.preventDefault();
  }

  function neighbour(here, direction) {
    if (direction === "ArrowUp") return arcs.find((arc) => arc.node === here.parent);
    if (direction === "ArrowDown") return arcs.find((arc) => here.node && arc.parent === here.node);
    const peers = arcs.filter((arc) => arc.level === here.level);
    const step = direction === "ArrowRight" ? 1 : peers.length - 1;
    return peers[(peers.indexOf(here) + step) % peers.length];
  }

  drawnToWidth(host, (width) => {
    size = Math.min(width, 620);
    picture = shape("svg", {
      class: "sunburst",
      viewBox: `${-size / 2} ${-size / 2} ${size} ${size}`,
      width: size,
      height: size,
      role: "tree",
      "aria-label": `${say("hierarchy")}. ${say("hierarchyKeys")}`,
      pointerover: hover,
      pointermove: hover,
      pointerleave: () => {
        hideTooltip();
        follow({ arc: null });
      },
      focusin: (event) => follow({ arc: arcAt(event) }),
      click: press,
      keydown: key,
    });
    draw(view, true);
    return picture;
  });
  follow({ view });
  return { reveal, zoom: (node) => show(viewOf(node)) };
}

function ring(from, to, r0, r1) {
  const point = (angle, radius) => `${(radius * Math.sin(angle)).toFixed(2)} ${(-radius * Math.cos(angle)).toFixed(2)}`;
  const end = Math.min(to, from + 2 * Math.PI - 1e-4);
  const far = end - from > Math.PI ? 1 : 0;
  return `M${point(from, r1)}A${r1} ${r1} 0 ${far} 1 ${point(end, r1)}L${point(end, r0)}A${r0} ${r0} 0 ${far} 0 ${point(from, r0)}Z`;
}

// The name of a slice along or across its ring, whichever shows more of it; nothing where nothing readable fits.
function caption(name, from, to, r0, r1) {
  const middle = (from + to) / 2;
  const radius = (r0 + r1) / 2;
  const size = 11.5; // as the style sheet has it
  const arc = (to - from) * radius;
  const along = r1 - r0 >= 16 ? 2 * radius * Math.sin(Math.min(to - from, Math.PI) / 2) - 10 : 0;
  const across = arc >= 13 ? r1 - r0 - 8 : 0;
  const tangential = along >= Math.min(across, widthOf(name, size));
  const text = shortened(name, tangential ? along : across, size);
  if (!text) return null;
  const degrees = (middle * 180) / Math.PI;
  const lower = degrees > 90 && degrees < 270;
  const turn = tangential ? (lower ? degrees + 180 : degrees) : degrees < 180 ? degrees - 90 : degrees + 90;
  const x = radius * Math.sin(middle);
  const y = -radius * Math.cos(middle);
  return shape("text", { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${turn.toFixed(1)})` }, text);
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]|[\u{1f000}-\u{3ffff}]/u;

function widthOf(text, size) {
  let width = 0;
  for (const character of text) width += WIDE.test(character) ? 1 : 0.6;
  return width * size;
}

// `text`, or as much of it as fits into `width` pixels with an ellipsis; empty where that is less than two characters.
function shortened(text, width, size) {
  if (widthOf(text, size) <= width) return text;
  let kept = "";
  for (const character of text) {
    if (widthOf(`${kept}${character}…`, size) > width) break;
    kept += character;
  }
  return [...kept].length >= 2 ? `${kept}…` : "";
}
