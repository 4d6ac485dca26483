// Which answers are worth a look.
//
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

const ORDERS = {
  asGiven: null,
  leastSure: ({ given }) => sureness(given, state.model),
  disagreement: (row) => -disagreement(row),
};

// Controls of what is shown of the answers, and in which order.
function queueFields() {
  const known = Object.entries(MESSAGES[language].orders).filter(([name]) => name !== "disagreement" || state.other);
  const order = choice(known, state.order, (chosen) => {
    state.order = chosen;
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
  return [field(say("order"), order), element("label", { class: "way" }, unjudged, say("onlyUnjudged"))];
}

function inOrder(rows) {
  const left = rows.filter(({ given }) => !(state.onlyUnjudged && (given.judged || given.problem)));
  const rank = ORDERS[state.order];
  if (!rank) return left;
  const ranks = new Map(left.map((row) => [row, rank(row)]));
  return left.sort((one, other) => ranks.get(one) - ranks.get(other) || 0);
}
