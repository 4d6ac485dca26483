// The hierarchy as a tree of nodes, each with its share [x0, x1) of the full circle.

function buildTree(labels) {
  const root = { path: null, label: null, level: 0, children: [], parent: null };
  const nodes = new Map(labels.map((label) => [label.label, { path: label.label, label, children: [] }]));
  for (const node of nodes.values()) {
    const parts = segments(node.path);
    const parent = nodes.get(parts.slice(0, -1).join(DATA.separator)) || root;
    node.parent = parent;
    node.name = parts[parts.length - 1];
    parent.children.push(node);
  }
  const uniform = !labels.some((label) => label.dev.support > 0);
  measure(root, uniform);
  place(root, 0, 1);
  return { root, nodes, uniform };
}

// A text with several children of one label counts in each of them, so their sum may exceed the parent's own support.
function measure(node, uniform) {
  let sum = 0;
  node.height = 0;
  for (const child of node.children) {
    child.level = node.level + 1;
    measure(child, uniform);
    sum += child.weight;
    if (child.weight > 0) node.height = Math.max(node.height, child.height + 1);
  }
  const own = uniform ? (node.children.length ? 0 : 1) : node.label ? node.label.dev.support : 0;
  node.weight = Math.max(own, sum);
  node.children.sort((a, b) => b.weight - a.weight);
}

function place(node, x0, x1) {
  node.x0 = x0;
  node.x1 = x1;
  let start = x0;
  for (const child of node.children) {
    const end = start + (node.weight ? ((x1 - x0) * child.weight) / node.weight : 0);
    place(child, start, end);
    start = end;
  }
}

// What the circle shows: the part [x0, x1) of it, from the level below `base` outwards.
function viewOf(node) {
  return {
    node,
    bundle: null,
    x0: node.x0,
    x1: node.x1,
    base: node.level,
    rings: Math.max(1, node.height),
  };
}

function viewOfBundle(bundle) {
  const rings = 1 + Math.max(...bundle.nodes.map((node) => node.height));
  return { node: bundle.parent, bundle, x0: bundle.x0, x1: bundle.x1, base: bundle.parent.level, rings };
}

const NARROWEST = 3; // pixels along the arc
const BUNDLE = 6;

// The arcs of a view; siblings too narrow to be seen are bundled, so that their number is bounded by the circle's size.
function arcsOf(view, top, circumferenceAt) {
  const arcs = [];
  const span = view.x1 - view.x0 || 1;
  function walk(node) {
    let waiting = null;
    const flush = () => {
      if (waiting) arcs.push(waiting.nodes.length === 1 ? arcOfNode(waiting.nodes[0]) : waiting);
      waiting = null;
    };
    for (const child of node.children) {
      if (child.weight <= 0 || child.x1 <= view.x0 + 1e-12 || child.x0 >= view.x1 - 1e-12) continue;
      if (child.level <= view.base) {
        walk(child);
        continue;
      }
      if (child.level > Math.ceil(view.base + view.rings)) return;
      const scale = circumferenceAt(child.level) / span;
      if ((child.x1 - child.x0) * scale >= NARROWEST) {
        flush();
        arcs.push(arcOfNode(child));
        walk(child);
        continue;
      }
      if (!waiting) waiting = { parent: node, nodes: [], x0: child.x0, x1: child.x1, level: child.level };
      waiting.nodes.push(child);
      waiting.x1 = child.x1;
      if ((waiting.x1 - waiting.x0) * scale >= BUNDLE) flush();
    }
    flush();
  }
  walk(top);
  return arcs;
}

function arcOfNode(node) {
  return { node, parent: node.parent, x0: node.x0, x1: node.x1, level: node.level };
}

function supportOf(arc) {
  return arc.node ? arc.node.label.dev.support : arc.nodes.reduce((sum, node) => sum + node.label.dev.support, 0);
}

// A bundle's F1 is the mean of its labels' that have evaluated rows; null where there are none.
function f1OfArc(arc) {
  const scores = (arc.node ? [arc.node] : arc.nodes).map((node) => f1Of(node.label)).filter((score) => score !== null);
  return scores.length ? scores.reduce((sum, score) => sum + score, 0) / scores.length : null;
}

function nameOfArc(arc) {
  return arc.node ? readable(arc.node.path) : say("labelCount", arc.nodes.length);
}

function weakestFirst(nodes) {
  const order = (node) => (node.label.dev.support > 0 ? node.label.dev.f1 : 2);
  return [...nodes].sort((a, b) => order(a) - order(b) || b.label.dev.support - a.label.dev.support);
}
