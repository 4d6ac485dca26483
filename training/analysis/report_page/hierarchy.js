// The hierarchy's section: the sunburst, and beside it the figures of the slice that is pointed at.

function hierarchySection() {
  const tree = buildTree(EVALUATION.labels);
  const host = element("div", { class: "sunburst-host" });
  const panel = element("div", { class: "details" });
  const crumbs = element("nav", { class: "crumbs", "aria-label": say("hierarchy") });
  const undrawn = tree.uniform ? 0 : EVALUATION.labels.filter((label) => !tree.nodes.get(label.label).weight).length;
  let view = null;
  let kept = null;
  let picture = null;

  function follow(news) {
    if (news.view) {
      view = news.view;
      kept = null;
      showCrumbs();
    }
    if (news.chosen) kept = news.arc;
    const arc = news.arc || kept;
    if (arc) panel.replaceChildren(...(arc.node ? labelDetails(arc.node, reveal) : bundleDetails(arc, reveal)));
    else if (view.bundle) panel.replaceChildren(...bundleDetails(view.bundle, reveal));
    else if (view.node.label) panel.replaceChildren(...labelDetails(view.node, reveal));
    else panel.replaceChildren(...rootDetails(tree.root, reveal));
  }

  function showCrumbs() {
    const way = [];
    for (let node = view.node; node; node = node.parent) way.unshift(node);
    const steps = way.map((node) =>
      element(
        "button",
        { type: "button", click: () => picture.show(viewOf(node)) },
        element("bdi", {}, node.path ? node.name : say("all")),
      ),
    );
    if (view.bundle) steps.push(element("span", {}, say("labelCount", view.bundle.nodes.length)));
    steps[steps.length - 1].setAttribute("aria-current", "true");
    crumbs.replaceChildren(...(steps.length > 1 ? steps : []));
  }

  function reveal(path) {
    picture.reveal(path);
  }

  const built = section(
    "hierarchy",
    say("hierarchyHint"),
    crumbs,
    element("div", { class: "beside" }, host, panel),
    legend(),
    tree.uniform ? element("p", { class: "hint" }, say("equalSizes")) : null,
    undrawn ? element("p", { class: "hint" }, say("notDrawn", undrawn)) : null,
  );
  picture = new Sunburst(tree, host, follow);
  showInHierarchy = (path) => {
    reveal(path);
    built.scrollIntoView({ block: "start" });
  };
  return built;
}

let showInHierarchy = () => {};

function legend() {
  const steps = [...RANGES, null].map((_, range) =>
    element("li", {}, element("span", { class: `swatch f1-${range}`, "aria-hidden": "true" }), rangeName(range)),
  );
  return element(
    "ul",
    { class: "legend", "aria-label": say("f1") },
    element("li", { class: "hint" }, say("f1")),
    steps,
  );
}

function rootDetails(root, reveal) {
  const { summary, rows } = EVALUATION;
  const scores = {
    support: rows,
    precision: summary.micro_precision,
    recall: summary.micro_recall,
    f1: summary.micro_f1,
  };
  return [
    element("h3", {}, say("all")),
    bigFigure(rows ? summary.micro_f1 : null, say("microF1")),
    figuresTable([[say("evaluated"), rows ? scores : {}]]),
    ...weakest(root.children, say("weakestBelow"), reveal),
  ];
}

function labelDetails(node, reveal) {
  const { dev, train, threshold } = node.label;
  const seen = dev.support > 0 ? dev : { support: dev.support };
  return [
    element("h3", {}, pathElement(node.path)),
    bigFigure(f1Of(node.label), say("f1")),
    dev.support > 0 ? null : element("p", { class: "hint" }, say("noRowsOfLabel")),
    figuresTable([[say("evaluated"), seen], ...(EVALUATION.train_rows && train ? [[say("trained"), train]] : [])]),
    element("p", { class: "threshold" }, `${say("threshold")} `, element("strong", {}, decimal(threshold))),
    ...weakest(node.children, say("weakestBelow"), reveal),
  ].filter(Boolean);
}

function bundleDetails(arc, reveal) {
  return [
    element("h3", {}, nameOfArc(arc)),
    bigFigure(f1OfArc(arc), say("meanF1")),
    element("p", { class: "threshold" }, `${say("support")} `, element("strong", {}, count(supportOf(arc)))),
    ...weakest(arc.nodes, say("weakestInside"), reveal),
  ];
}

function bigFigure(f1, name) {
  const range = f1 === null ? RANGES.length : rangeOf(f1);
  return element(
    "p",
    { class: "big" },
    element("span", { class: `swatch f1-${range}`, "aria-hidden": "true" }),
    element("strong", {}, percent(f1)),
    element("span", { class: "hint" }, name),
  );
}

function figuresTable(rows) {
  const heads = ["", say("support"), say("precision"), say("recall"), say("f1")];
  return element(
    "table",
    { class: "figures" },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        heads.map((head) => (head ? element("th", { scope: "col" }, head) : element("td"))),
      ),
    ),
    element(
      "tbody",
      {},
      rows.map(([name, scores]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          element("td", {}, typeof scores.support === "number" ? count(scores.support) : "–"),
          ["precision", "recall", "f1"].map((key) => element("td", {}, percent(scores[key]))),
        ),
      ),
    ),
  );
}

function weakest(nodes, heading, reveal) {
  if (!nodes.length) return [];
  const most = 6;
  const shown = weakestFirst(nodes).slice(0, most);
  const entries = shown.map((node) => {
    const f1 = f1Of(node.label);
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", click: () => reveal(node.path) },
        element("bdi", { class: "name" }, node.name),
        bar(f1),
        element("span", { class: "number" }, percent(f1)),
      ),
    );
  });
  return [
    element("h4", {}, heading),
    element("ul", { class: "weakest" }, entries),
    ...(nodes.length > most ? [element("p", { class: "hint" }, say("andMore", nodes.length - most))] : []),
  ];
}
