// The section of answers: each text with its labels as a tree.

const FIRST_SHOWN = 50;

function answersSection() {
  const host = element("div", { id: "answer-list" });
  const search = searchBox(say("filter"), state.query, (query) => {
    state.query = query;
    drawAnswers();
  });
  search.id = "query";
  search.setAttribute("aria-label", say("filter"));
  const empty = element("input", {
    type: "checkbox",
    checked: state.onlyEmpty,
    change: () => {
      state.onlyEmpty = empty.checked;
      drawAnswers();
    },
  });
  const controls = element(
    "div",
    { class: "controls", id: "answer-controls", hidden: true },
    element("label", { class: "field" }, element("span", {}, say("filter")), search),
    element("label", { class: "way" }, empty, say("onlyEmpty")),
    queueFields(),
    onlyDifferingBox(),
    nameField(),
    downloadButtons(),
  );
  const summary = element("p", { class: "status", id: "summary", role: "status" }, say("noAnswers"));
  return section("answers", null, summary, controls, host);
}

let waiting = 0; // a timer
let changed = false; // whether more than further answers waits to be drawn
let milliseconds = 0; // that the last drawing took
let drawn = null; // the list as it is: { list, rows, more }

// While answers arrive, a few drawings a second are enough, and leave most of the time to what else there is.
// `arrived`: nothing has changed but that there are further answers.
function drawSoon(arrived = false) {
  changed ||= !arrived;
  const later = () => requestAnimationFrame(() => waiting && drawAnswers(!changed));
  waiting ||= setTimeout(later, Math.max(100, 4 * milliseconds));
}

function drawAnswers(arrived = false) {
  const started = performance.now();
  clearTimeout(waiting);
  [waiting, changed] = [0, false];
  const host = document.getElementById("answer-list");
  const summary = document.getElementById("summary");
  const all = answered();
  document.getElementById("answer-controls").hidden = !all.length;
  if (!all.length) {
    summary.replaceChildren(say("noAnswers"));
    host.replaceChildren();
    return;
  }
  const labels = all.reduce((sum, answer) => sum + answer.labels.length, 0);
  const empty = all.filter((answer) => !answer.labels.length);
  const refused = empty.filter(({ problem }) => problem).length;
  summary.replaceChildren(
    say("summary", all.length, labels, empty.length - refused),
    refused ? say("refused", refused) : "",
    comparison(all),
  );
  const words = wordsOf(state.query);
  const fitting = inOrder(all.filter((answer) => fits(answer, words)));
  if (arrived && goesOn(fitting)) drawn.more.extend(fitting);
  else {
    const list = element("ol", { class: "answers" });
    const more = growingList(list, fitting, FIRST_SHOWN, (answer) => answerItem(answer, words));
    host.replaceChildren(fitting.length ? list : nothing(say("none")), more);
    drawn = { list, more };
  }
  drawn.rows = fitting;
  milliseconds = performance.now() - started;
}

// Whether rows begin with those that the list shows: it then stays, with whatever has been opened in it. Of drifted
// texts, what is said of each changes with the others.
function goesOn(rows) {
  if (!drawn?.list.isConnected || state.order === "drifted") return false;
  const shown = drawn.rows.slice(0, drawn.list.children.length);
  return shown.every(({ given, beside }, place) => given === rows[place]?.given && beside === rows[place].beside);
}

function fits(row, words) {
  const { text, labels } = row;
  if (state.onlyEmpty && labels.length) return false;
  if (state.onlyDiffering && comparable() && !differs(row)) return false;
  const searched = `${text}\n${labels.map(({ label }) => label).join("\n")}`.toLowerCase();
  return words.every((word) => searched.includes(word));
}

function answerItem(row, words) {
  const { text, labels, truncated, problem } = row;
  const shown = text.length > 600 && !row.why ? `${text.slice(0, 600)}…` : text;
  const said = element("p", { class: "text", dir: "auto" }, marked(shown, words));
  const item = element("li", {}, said, rareTraits(row), truncated ? element("p", { class: "notice" }, say("cut")) : null);
  if (problem) return fill(item, {}, [element("p", { class: "hint" }, wording(problem))]);
  if (!labels.length && !row.other) return fill(item, {}, [element("p", { class: "hint" }, say(state.settings.promise === null ? "noLabel" : "unsure")), corrections(row)]);
  const near = element("div", { class: "near" });
  const point =
    row.why &&
    ((label) => {
      said.replaceChildren(...carrying(text, row.why, label));
      near.replaceChildren(...nearest(label, row.near.get(label)));
    });
  if (point && labels.length) point(labels[labels.length - 1].label);
  const asking = element("button", { type: "button", class: "link why", click: () => askWhy(row, item, words) }, say("why"));
  const why = row.why ? element("p", { class: "hint" }, say("whyHint")) : asking;
  const found = row.other ? sides(row, words, point) : labelTree(labels, words, point);
  return fill(item, {}, [found, labels.length ? why : null, near, corrections(row)]);
}

// The training rows of a label that a text is most like.
function nearest(label, rows) {
  if (!rows?.length) return [];
  const shown = rows.map(({ text, similarity }) =>
    element("li", {}, element("span", { dir: "auto" }, text), " ", element("span", { class: "hint" }, decimal(similarity))),
  );
  return [element("p", { class: "hint" }, say("near", readable(label))), element("ul", {}, shown)];
}

// Asks which words carry the labels, and shows the answer anew.
async function askWhy(row, item, words) {
  const button = item.querySelector(".why");
  button.disabled = true;
  try {
    const { answers, bundle } = await ask("/classify", { texts: [row.text], explain: true, ...chosenOptions() });
    if (bundle !== state.model.bundle) return await changeOver();
    const reasons = answers[0].explanation.labels;
    row.why = new Map(reasons.map(({ label, words: carriers }) => [label, carriers]));
    row.near = new Map(reasons.map(({ label, neighbours }) => [label, neighbours || []]));
    item.replaceWith(answerItem(row, words));
  } catch (error) {
    button.disabled = false;
    button.replaceChildren(`${say("why")} · ${wording(error.message)}`);
  }
}

// The text as nodes, in which the words that carry a label are marked; places count characters, not UTF-16 units.
function carrying(text, why, label) {
  const letters = Array.from(text);
  const nodes = [];
  let done = 0;
  for (const { start, end, drop } of [...(why.get(label) || [])].sort((one, other) => one.start - other.start)) {
    nodes.push(letters.slice(done, start).join(""));
    nodes.push(element("mark", { title: `−${drop.toFixed(2)}` }, letters.slice(start, end).join("")));
    done = end;
  }
  return [...nodes, letters.slice(done).join("")];
}

function labelTree(labels, words, point, only = new Set()) {
  const known = new Set(labels.map(({ label }) => label));
  const children = new Map([[null, []]]);
  for (const each of labels) {
    const above = segments(each.label).slice(0, -1).join(DATA.separator);
    const parent = known.has(above) ? above : null;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(each);
  }
  const branch = (parent) =>
    children.has(parent)
      ? element(
          "ul",
          { class: "label-tree" },
          children.get(parent).map(({ label, confidence, promised }) => {
            const name = parent === null ? pathElement(label, words) : leafElement(label, words);
            const show = point && (() => point(label));
            const row = element("span", { class: "row", tabindex: point && "0", mouseenter: show, focus: show }, name);
            const sure = promised ? element("span", { class: "promised" }, say("promised", percent(promised, 0))) : null;
            const alone = only.has(label) ? element("span", { class: "promised only" }, say("onlyHere")) : null;
            return element("li", {}, fill(row, {}, [confidenceMeter(confidence), alone || sure]), branch(label));
          }),
        )
      : null;
  return branch(null);
}

function leafElement(label, words) {
  const name = segments(label).pop();
  return element("span", { class: "path", title: readable(label) }, element("bdi", { class: "leaf" }, marked(name, words)));
}

function confidenceMeter(confidence) {
  return element("span", { class: "meter" }, bar(confidence, "confidence"), element("span", { class: "number" }, decimal(confidence)));
}
