// What people say of an answer: right, wrong, or which labels it should have.

const NAME = "console-name";
const FIRST_PICKS = 30;

let ownName = null; // what the box of this tab shows; another tab may show another

// By a proxy's word, or by the caller's own.
function nameOf() {
  const { name, by_proxy: byProxy } = state.caller;
  ownName ??= rememberedName();
  return byProxy ? name : ownName.trim();
}

function rememberedName() {
  try {
    return localStorage.getItem(NAME) || "";
  } catch {
    return ""; // the browser keeps nothing
  }
}

function takeName(name) {
  ownName = name;
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // no room is left: the name holds as long as the page is open
  }
}

function signedIn() {
  return state.caller.name ? say("signedInAs", state.caller.name) : say("signInFirst");
}

function nameField() {
  if (state.caller.by_proxy) return element("p", { class: "hint", id: "signed-in" }, signedIn());
  const box = element("input", {
    id: "name",
    maxlength: 80,
    autocomplete: "name",
    input: () => takeName(box.value),
  });
  box.value = nameOf();
  return field(say("name"), box);
}

function corrections(row) {
  const said = element("span", { class: "hint", role: "status" }, row.given.judged ? say("judged")[row.given.judged] : "");
  const [shown, own] = [row.labels, row.given.labels].map((labels) => labels.map(({ label }) => label));
  const isWhole = shown.length === own.length && shown.every((label) => own.includes(label));
  const judge = async (kind, labels, answered = shown) => {
    if (!nameOf()) {
      said.replaceChildren(state.caller.by_proxy ? signedIn() : say("nameFirst"));
      document.getElementById("name")?.focus();
      return;
    }
    try {
      const who = state.caller.by_proxy ? undefined : nameOf();
      const { bundle } = await ask("/feedback", { who, text: row.text, answered, labels, bundle: state.model.bundle });
      row.given.judged = kind;
      said.replaceChildren(say("judged")[kind]);
      picker.replaceChildren();
      if (bundle !== state.model.bundle) await changeOver();
    } catch (error) {
      said.replaceChildren(wording(error.message));
    }
  };
  const picker = element("div", { class: "picker" });
  const button = (name, click) => element("button", { type: "button", class: "link", click }, say(name));
  const pick = () => picker.replaceChildren(labelPicker(own, (labels) => judge("labels", labels, own)));
  const buttons = [
    isWhole ? button("right", () => judge("right", own)) : element("span", { class: "hint" }, say("notWhole")),
    button("wrong", () => judge("wrong", null)),
    button("shouldBe", pick),
  ];
  return element("div", { class: "corrections" }, element("p", { class: "actions" }, buttons, said), picker);
}

// Chooses labels by searching among all; `done` takes them, ancestors left out.
function labelPicker(first, done) {
  const deepest = first.filter((label) => !first.some((other) => other.startsWith(label + DATA.separator)));
  const chosen = new Set(deepest);
  const chips = element("ul", { class: "chips" });
  const found = element("ul", { class: "found" });
  const drawChips = () =>
    chips.replaceChildren(
      ...[...chosen].map((label) => {
        const drop = () => {
          chosen.delete(label);
          drawChips();
        };
        const cross = { type: "button", class: "link", "aria-label": say("remove", readable(label)), click: drop };
        return element("li", {}, pathElement(label), element("button", cross, "×"));
      }),
      ...(chosen.size ? [] : [element("li", { class: "hint" }, say("nowhere"))]),
    );
  const add = (label) => {
    chosen.add(label);
    drawChips();
  };
  const find = (query) => {
    const words = wordsOf(query);
    const fitting = words.length ? labelsWith(words).slice(0, FIRST_PICKS) : [];
    const button = (label) =>
      element("button", { type: "button", class: "link", click: () => add(label) }, pathElement(label, words));
    found.replaceChildren(...fitting.map((label) => element("li", {}, button(label))));
  };
  const search = searchBox(say("pick"), "", find, 0); // fast enough for each key
  search.setAttribute("aria-label", say("pick"));
  const kept = { type: "button", class: "more main", click: () => done([...chosen]) };
  drawChips();
  return element("div", {}, chips, search, found, element("button", kept, say("keep")));
}

let lowerLabels = null;

function labelsWith(words) {
  const { labels } = state.model;
  if (lowerLabels?.of !== labels) lowerLabels = { of: labels, lower: labels.map((label) => label.toLowerCase()) };
  return labels.filter((_, column) => words.every((word) => lowerLabels.lower[column].includes(word)));
}
