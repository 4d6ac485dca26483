// What is known of the model: its figures, its versions, and its labels as a tree. Asked for once somebody looks.

function cardSection() {
  const host = element("div", {});
  const open = () => fold.open && drawCard(host);
  const fold = element("details", { id: "card-fold", toggle: open }, element("summary", {}, say("showCard")), host);
  return section("card", null, fold);
}

async function drawCard(host) {
  try {
    const known = await ask("/card");
    const parts = [cardFigures(known), cardVersions(known.versions), labelBrowser(known)];
    host.replaceChildren(...parts.filter(Boolean));
  } catch (error) {
    if (error.status === 401) return signIn();
    host.replaceChildren(element("p", { class: "notice", role: "alert" }, wording(error.message)));
  }
}

function cardFigures({ metrics, measured_with: measuredWith, data, license, tokens }) {
  const { labels, bundle } = state.model;
  const tile = (name, score) =>
    element("div", { class: "tile" }, element("dt", {}, name), element("dd", { class: "score" }, score));
  const dev = metrics?.micro_f1 === undefined ? null : metrics;
  const tiles = [
    tile(say("labelCount"), count(labels.length)),
    ...(tokens === null ? [] : [tile(say("tokens"), count(tokens))]),
    ...(dev ? [tile("micro F1", percent(dev.micro_f1)), tile("macro F1", percent(dev.macro_f1))] : []),
  ];
  const said = [
    say("bundle", bundle),
    dev ? say("measured", dev.texts) : say("unmeasured"),
    measuredWith ? say("measuredWith", measuredWith) : null,
    data?.train ? say("trained", data.folder, data.train.rows) : null,
    license ? say("license", license) : null,
  ];
  const levels = dev && Object.entries(dev.levels || {});
  return element(
    "div",
    {},
    element("dl", { class: "tiles" }, tiles),
    element("p", { class: "hint more-figures" }, said.filter(Boolean).join(" · ")),
    levels?.length
      ? plainTable(
          [say("level"), "micro F1", "macro F1"],
          levels.map(([level, { micro_f1: micro, macro_f1: macro }]) => [level, percent(micro), percent(macro)]),
        )
      : null,
  );
}

function cardVersions(versions) {
  if (!versions.length) return null;
  const rows = [...versions].reverse().map(({ number, bundle, published, micro_f1: micro, note, live }) => [
    [`${number}`, live ? element("span", { class: "promised" }, say("live")) : null],
    published.replace("T", " ").replace("Z", " UTC"),
    bundle,
    percent(micro),
    note,
  ]);
  const heads = [say("versionHead"), say("published"), say("bundleHead"), "micro F1", say("note")];
  return element("div", {}, element("h3", {}, say("versions")), plainTable(heads, rows));
}

function plainTable(heads, rows) {
  return element(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": heads[0] },
    element(
      "table",
      { class: "plain-table" },
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map((content) => element("td", {}, content))))),
    ),
  );
}
