// The hierarchy as rings around a centre, one ring per level, zoomed by choosing a slice.

const ZOOM_MILLISECONDS = 420;

// Draws `tree` into `host`; tells `follow` of the view that is shown ({ view }), and of the slice that is pointed at
// ({ arc }, null where there is none) or chosen ({ arc, chosen: true }).
class Sunburst {
  constructor(tree, host, follow) {
    this.tree = tree;
    this.follow = follow;
    this.view = viewOf(tree.root);
    this.size = 0;
    this.arcs = [];
    this.chosen = null; // the path of the label that stays marked
    this.pointedAt = null;
    this.frame = 0;
    drawnToWidth(host, (width) => this.picture(width));
    follow({ view: this.view });
  }

  picture(width) {
    this.size = Math.min(width, 620);
    const { node, bundle } = this.view;
    this.view = this.fitted(bundle ? viewOfBundle(bundle) : viewOf(node));
    this.svg = shape("svg", {
      class: "sunburst",
      viewBox: `${-this.size / 2} ${-this.size / 2} ${this.size} ${this.size}`,
      width: this.size,
      height: this.size,
      role: "group",
      "aria-label": `${say("hierarchy")}. ${say("hierarchyKeys")}`,
      pointermove: (event) => this.hover(event),
      pointerleave: () => this.leave(),
      focusin: (event) => this.follow({ arc: this.arcAt(event) }),
      click: (event) => this.press(event),
      keydown: (event) => this.key(event),
    });
    this.draw(this.view, true);
    return this.svg;
  }

  arcsIn(view, top) {
    const rings = new Rings(view, this.size);
    return arcsOf(view, top, (level) => rings.circumference(level));
  }

  // Gives the room of rings in which nothing is wide enough to be drawn to those within.
  fitted(view) {
    if (!this.size) return view;
    const deepest = this.arcsIn(view, view.node).reduce((level, arc) => Math.max(level, arc.level), view.base + 1);
    return { ...view, rings: deepest - view.base };
  }

  draw(view, settled) {
    const rings = new Rings(view, this.size);
    this.arcs = this.arcsIn(view, settled ? view.node : this.tree.root);
    const isChosen = (arc) => arc.node !== undefined && arc.node.path === this.chosen;
    const slices = this.arcs.map((arc, index) => sliceOf(arc, index, view, rings, isChosen(arc), settled));
    const shown = slices.filter(Boolean);
    const onTop = shown.filter((slice) => slice.classList.contains("chosen")); // else the next one covers its outline
    this.svg.replaceChildren(...shown, ...onTop, centreOf(this.view, rings.inner, settled));
  }

  show(target, focus = false) {
    const start = this.view;
    this.view = this.fitted(target);
    hideTooltip();
    cancelAnimationFrame(this.frame);
    this.follow({ view: this.view });
    if (!this.size) return;
    const began = performance.now();
    const step = (now) => {
      const share = Math.min(1, Math.max(0, (now - began) / ZOOM_MILLISECONDS));
      if (share === 1) return this.settle(focus);
      const eased = share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
      const between = (key) => start[key] + (this.view[key] - start[key]) * eased;
      this.draw({ x0: between("x0"), x1: between("x1"), base: between("base"), rings: between("rings") }, false);
      this.frame = requestAnimationFrame(step);
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden) this.settle(focus);
    else this.frame = requestAnimationFrame(step);
  }

  settle(focus) {
    this.draw(this.view, true);
    if (focus) this.svg.querySelector(".slice")?.focus();
  }

  up(focus = false) {
    const { node, bundle } = this.view;
    if (bundle) this.show(viewOf(node), focus);
    else if (node.parent) this.show(viewOf(node.parent), focus);
  }

  choose(arc, focus = false) {
    this.chosen = arc.node ? arc.node.path : null;
    if (!arc.node) this.show(viewOfBundle(arc), focus);
    else if (arc.node.height > 0) this.show(viewOf(arc.node), focus);
    else {
      this.draw(this.view, true);
      if (focus) this.svg.querySelector(".chosen")?.focus();
      this.follow({ arc, chosen: true });
    }
  }

  // Brings a label into view and marks it, through as many bundles as hide it.
  reveal(path) {
    const node = this.tree.nodes.get(path);
    this.chosen = path;
    let shown = node.height > 0 ? node : node.parent;
    while (!shown.weight && shown.parent) shown = shown.parent;
    let target = viewOf(shown);
    while (node.weight > 0 && shown !== node) {
      const bundle = this.arcsIn(this.fitted(target), target.node).find((arc) => arc.nodes?.includes(node));
      if (!bundle || bundle.nodes.length === target.bundle?.nodes.length) break;
      target = viewOfBundle(bundle);
    }
    this.show(target);
    this.follow({ arc: arcOfNode(node), chosen: true });
  }

  arcAt(event) {
    const found = event.target.closest("[data-slice]");
    return found ? this.arcs[Number(found.dataset.slice)] : null;
  }

  hover(event) {
    const arc = this.arcAt(event);
    if (arc !== this.pointedAt) this.follow({ arc });
    this.pointedAt = arc;
    if (!arc || event.pointerType === "touch") return hideTooltip();
    const score = `${arc.node ? say("f1") : say("meanF1")} ${percent(f1OfArc(arc))}`;
    const figures = pieces(score, `${say("support")} ${count(supportOf(arc))}`);
    showTooltip(event.clientX, event.clientY, element("strong", {}, nameOfArc(arc)), figures);
  }

  leave() {
    this.pointedAt = null;
    hideTooltip();
    this.follow({ arc: null });
  }

  press(event) {
    const arc = this.arcAt(event);
    if (event.target.closest("[data-centre]")) this.up();
    else if (arc) this.choose(arc);
  }

  key(event) {
    const arc = this.arcAt(event);
    if (event.key === "Escape" || event.key === "Backspace") this.up(true);
    else if (event.key === "Enter" || event.key === " ") {
      if (arc) this.choose(arc, true);
      else this.up(true);
    } else if (event.key.startsWith("Arrow")) {
      const next = arc ? this.neighbour(arc, event.key) : this.arcs[0];
      if (next) this.svg.querySelector(`[data-slice="${this.arcs.indexOf(next)}"]`).focus();
    } else return;
    event.preventDefault();
  }

  neighbour(here, direction) {
    if (direction === "ArrowUp") return this.arcs.find((arc) => arc.node && arc.node === here.parent);
    if (direction === "ArrowDown") return this.arcs.find((arc) => here.node && arc.parent === here.node);
    const peers = this.arcs.filter((arc) => arc.level === here.level);
    const step = direction === "ArrowRight" ? 1 : peers.length - 1;
    return peers[(peers.indexOf(here) + step) % peers.length];
  }
}
