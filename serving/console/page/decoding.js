// Label sets from scores, as the server makes them: sliders act without asking it again.
// A row's `columns` and `scores` hold all that can count from the lowest threshold on, with the ancestors of it.


function decode(row, hierarchy, thresholds, { policy, atLeastOne, topK }) {
  const scores = new Map(row.columns.map((column, place) => [column, Math.fround(row.scores[place])]));
  const selected = new Set(row.columns.filter((column) => scores.get(column) >= thresholdOf(thresholds, column)));
  if (policy === "top_down")
    for (const column of [...selected])
      if (!ancestors(hierarchy, column).every((each) => selected.has(each))) selected.delete(column);
  if (atLeastOne && !selected.size) selected.add(closest(scores, thresholds));
  if (policy !== "threshold") addAncestors(hierarchy, selected);
  const chosen = policy === "single_path" ? bestPath(hierarchy, scores, selected) : selected;
  const confidences = consistent(hierarchy, scores, chosen, policy);
  const order = (column) => [-confidences.get(column), hierarchy.levels[column], column];
  const ranked = [...chosen].sort((one, other) => compare(order(one), order(other)));
  return ranked
    .slice(0, topK || ranked.length)
    .flatMap((column) =>
      (hierarchy.paths[column] || [hierarchy.labels[column]]).map((label) => ({ label, confidence: confidences.get(column) })),
    );
}

function thresholdOf(thresholds, column) {
  return Math.fround(typeof thresholds === "number" ? thresholds : thresholds[column]);
}

function ancestors(hierarchy, column) {
  const above = new Set();
  const waiting = [...hierarchy.parents[column]];
  while (waiting.length) {
    const each = waiting.pop();
    if (above.has(each)) continue;
    above.add(each);
    waiting.push(...hierarchy.parents[each]);
  }
  return [...above];
}

function addAncestors(hierarchy, selected) {
  for (const column of [...selected]) for (const each of ancestors(hierarchy, column)) selected.add(each);
}

function logit(score) {
  return Math.log(score / (1 - score));
}

function closest(scores, thresholds) {
  let best = -1;
  let margin = -Infinity;
  for (const [column, score] of scores) {
    const now = logit(score) - logit(thresholdOf(thresholds, column));
    if (now > margin || (now === margin && column < best)) [best, margin] = [column, now];
  }
  return best;
}

// Of the paths in `selected` the one whose scores have the highest geometric mean.
function bestPath(hierarchy, scores, selected) {
  const inner = new Set([...selected].flatMap((column) => hierarchy.parents[column]));
  let best = null;
  for (const column of [...selected].filter((each) => !inner.has(each)).sort((one, other) => one - other)) {
    const path = [column, ...ancestors(hierarchy, column)];
    const mean = path.reduce((sum, each) => sum + Math.log(scores.get(each) || Number.MIN_VALUE), 0) / path.length;
    if (!best || mean > best.mean) best = { path, mean };
  }
  return new Set(best ? best.path : []);
}

function consistent(hierarchy, scores, chosen, policy) {
  const confidences = new Map([...chosen].map((column) => [column, scores.get(column) || 0]));
  if (policy === "threshold") return confidences;
  const deepestFirst = [...chosen].sort((one, other) => hierarchy.levels[other] - hierarchy.levels[one]);
  if (policy === "top_down") deepestFirst.reverse();
  for (const column of deepestFirst)
    for (const parent of hierarchy.parents[column].filter((each) => confidences.has(each))) {
      const [own, above] = [confidences.get(column), confidences.get(parent)];
      if (policy === "top_down") confidences.set(column, Math.min(own, above));
      else confidences.set(parent, Math.max(own, above));
    }
  return confidences;
}

function compare(one, other) {
  const place = one.findIndex((value, at) => value !== other[at]);
  return place < 0 ? 0 : one[place] - other[place];
}
