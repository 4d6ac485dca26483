// All labels, to search in and to open branch by branch: of a large hierarchy only what is looked at is built.

const FIRST_LABELS = 100;

function labelBrowser(rows) {
  const { labels } = state.model;
  const below = labelsBelow();
  const host = element("div", { id: "label-browser" });
  const show = (query) => {
    const words = wordsOf(query);
    if (!words.length) return host.replaceChildren(branchOf(below, null, rows));
    const found = labelsWith(words);
    const list = element("ul", { class: "label-tree" });
    const columns = new Map(labels.map((label, column) => [label, column]));
    const more = growingList(list, found, FIRST_LABELS, (label) =>
      element("li", {}, labelLine(columns.get(label), rows, pathElement(label, words), below)),
    );
    host.replaceChildren(element("p", { class: "hint", role: "status" }, say("labelsFound", found.length)), list, more);
  };
  const search = searchBox(say("pick"), "", show);
  search.id = "label-search";
  show("");
  return element("div", {}, element("h3", {}, say("labelTree")), element("div", { class: "controls" }, field(say("pick"), search)), host);
}

// By the number of a label, those that lie directly below it; null: the top.
function labelsBelow() {
  const below = new Map([[null, []]]);
  state.model.parents.forEach((parents, column) => {
    for (const parent of parents.length ? parents : [null]) {
      if (!below.has(parent)) below.set(parent, []);
      below.get(parent).push(column);
    }
  });
  return below;
}

function branchOf(below, parent, rows) {
  const list = element("ul", { class: "label-tree" });
  const more = growingList(list, below.get(parent) || [], FIRST_LABELS, (column) => {
    const name = element("bdi", { class: "leaf" }, segments(state.model.labels[column]).pop());
    const line = labelLine(column, rows, name, below);
    if (!below.has(column)) return element("li", {}, line);
    const open = () => fold.open && fold.lastChild === head && fold.append(branchOf(below, column, rows));
    const head = element("summary", {}, line);
    const fold = element("details", { toggle: open }, head);
    return element("li", {}, fold);
  });
  return element("div", {}, list, more);
}

function labelLine(column, rows, name, below) {
  const children = below.get(column)?.length;
  const said = [
    children ? say("below", children) : null,
    rows ? say("rows", rows[column]) : null,
    say("thresholdOf", state.model.thresholds[column].toFixed(2)),
  ];
  return element("span", { class: "label-line" }, name, " ", element("span", { class: "hint" }, said.filter(Boolean).join(" · ")));
}
