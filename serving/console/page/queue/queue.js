// Which answers are worth a look.

const NO_LABEL = "## none"; // bins of the label of the first level that can be no labels
const OTHER_LABELS = "## others";
const RARE = 0.05; // from which on the page says that a text is

// The margin of a label for a text is the log-odds of its calibrated confidence less those of its threshold: above 0 it
// is given, and the nearer to 0, the less sure is the model whether to. A text is as sure as its least sure label. Labels
// below the page's lowest threshold, which a row does not list, count as surer than those that it lists.
// Of two models that answer one text, the disagreement is the largest distance between their margins of a label that only
// one of them shows; 0 where they show the same. What a row does not list has the page's lowest threshold for confidence.

function odds(score) {
  return logit(Math.min(Math.max(score, 1e-7), 1 - 1e-7));
}

function sureness({ columns, scores }, { thresholds }) {
  return Math.min(Infinity, ...columns.map((column, place) => Math.abs(odds(scores[place]) - odds(thresholds[column]))));
}

function margin({ columns, scores }, model, label) {
  const column = model.labels.indexOf(label);
  const place = columns.indexOf(column);
  return odds(place < 0 ? model.lowest_threshold : scores[place]) - odds(column < 0 ? 0.5 : model.thresholds[column]);
}

function disagreement({ labels, given, other }) {
  if (!other) return 0;
  const shownByOne = [...onlyIn(labels, other.labels), ...onlyIn(other.labels, labels)];
  return Math.max(0, ...shownByOne.map((label) => Math.abs(margin(given, state.model, label) - margin(other, state.other, label))));
}

// How much of the development set is as rare as a text: by feature the share of its texts that lie in bins which hold no
// more of them than the text's own, with half a text more in each bin. A label of the first level that is n times as
// frequent among the other texts here as there counts as n times rarer.
function rarities(rows) {
  const { expected } = state.model;
  const features = Object.keys(expected).filter((feature) => rows.some(({ given }) => given.bins?.[feature]));
  const bin = (feature, given) => (Object.hasOwn(expected[feature], given.bins[feature]) ? given.bins[feature] : OTHER_LABELS);
  const here = new Map();
  for (const { given } of rows) if (given.bins?.top_label && expected.top_label) here.set(bin("top_label", given), (here.get(bin("top_label", given)) || 0) + 1);
  const others = Math.max(1, [...here.values()].reduce((sum, each) => sum + each, 0) - 1);
  const shares = new Map(features.map((feature) => [feature, sharesOf(expected[feature])]));
  return ({ given }) =>
    features
      .filter((feature) => given.bins?.[feature])
      .map((feature) => {
        const name = bin(feature, given);
        const { own, rarity } = shares.get(feature).get(name) || { own: 1, rarity: 1 };
        if (feature !== "top_label") return { feature, name, rarity, shown: rarity };
        const among = (here.get(name) - 1) / others;
        return { feature, name, rarity: rarity / Math.max(1, among / own), shown: rarity, among };
      });
}

function sharesOf(counts) {
  const bins = Object.entries(counts);
  const all = bins.reduce((sum, [, texts]) => sum + texts + 0.5, 0);
  const upTo = (most) => bins.reduce((sum, [, texts]) => sum + (texts <= most ? texts + 0.5 : 0), 0) / all;
  return new Map(bins.map(([name, texts]) => [name, { own: (texts + 0.5) / all, rarity: upTo(texts) }]));
}

// The rarest feature counts; of two texts that are alike in it, the others do.
function drift(traits) {
  const logs = traits.map(({ rarity }) => Math.log(rarity));
  return Math.min(0, ...logs) + 0.001 * logs.reduce((sum, each) => sum + each, 0);
}

// What is rare of a text, in words; null where nothing is, or they stand in another order.
function rareTraits({ traits }) {
  const rare = (traits || []).filter(({ rarity }) => rarity < RARE).sort((one, other) => one.rarity - other.rarity);
  if (!rare.length) return null;
  const named = { [NO_LABEL]: say("noFirstLabel"), [OTHER_LABELS]: say("otherLabel") };
  const share = (value) => `${percent(value)} %`;
  const said = rare.map(({ feature, name, shown, among }) => say("traits")[feature](named[name] || name, share(shown), share(among || 0)));
  return element("p", { class: "hint rare" }, say("rare", said));
}

const ORDERS = {
  asGiven: null,
  leastSure: ({ given }) => sureness(given, state.model),
  drifted: ({ traits }) => drift(traits),
  disagreement: (row) => -disagreement(row),
};

// Controls of what is shown of the answers, and in which order.
function queueFields() {
  const there = { disagreement: state.other, drifted: Object.keys(state.model.expected).length };
  const known = Object.entries(MESSAGES[language].orders).filter(([name]) => !(name in there) || there[name]);
  const hint = element("p", { class: "hint", id: "order-hint", hidden: state.order !== "drifted" }, say("driftHint"));
  const order = choice(known, state.order, (chosen) => {
    state.order = chosen;
    hint.hidden = chosen !== "drifted";
    drawAnswers();
  });
  order.id = "order";
  const unjudged = element("input", {
    type: "checkbox",
    id: "unjudged",
    checked: state.onlyUnjudged,
    change: () => {
      state.onlyUnjudged = unjudged.checked;
      drawAnswers();
    },
  });
  return [field(say("order"), order), element("label", { class: "way" }, unjudged, say("onlyUnjudged")), hint];
}

function inOrder(rows) {
  const left = rows.filter(({ given }) => !(state.onlyUnjudged && (given.judged || given.problem)));
  const rank = ORDERS[state.order];
  if (!rank) return left;
  if (state.order === "drifted") {
    const traitsOf = rarities(rows);
    for (const row of left) row.traits = traitsOf(row);
  }
  const ranks = new Map(left.map((row) => [row, rank(row)]));
  return left.sort((one, other) => ranks.get(one) - ranks.get(other) || 0);
}
