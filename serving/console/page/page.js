// Puts the page together, and again when its language changes.

async function loadModel() {
  [state.model, state.caller] = await Promise.all([ask("/model"), ask("/caller")]);
  await loadOther();
  const { promise } = state.settings;
  if (!state.model.promises.some(({ precision }) => precision === promise)) state.settings.promise = null;
}

function draw() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  const { model } = state;
  const described = [model, state.other].filter(Boolean);
  const about = described.map((each) => element("p", {}, say("answeredBy", each.source, each.model, each.version, each.labels.length)));
  const head = element(
    "header",
    { class: "page" },
    element(
      "div",
      {},
      element("p", { class: "kind" }, say("console")),
      element("h1", {}, say("heading")),
      element("div", { class: "hint", id: "about" }, about),
    ),
    languageSwitch(),
  );
  const sections = model ? [textsSection(), settingsSection(), answersSection(), cardSection(), trafficSection()] : [];
  const skip = element("a", { class: "skip", href: "#content" }, say("skip"));
  document.getElementById("page").replaceChildren(skip, head, element("main", { id: "content" }, sections), tooltip);
  if (model) {
    working(Boolean(state.running));
    drawAnswers();
  }
}

function signIn() {
  state.model = null;
  draw();
  const box = element("input", { type: "password", id: "token", autocomplete: "current-password" });
  const wrong = element("p", { class: "notice", role: "alert", hidden: true }, say("wrongToken"));
  const send = async () => {
    try {
      await ask("/sign-in", { token: box.value });
      await start();
    } catch (error) {
      wrong.hidden = false;
      wrong.replaceChildren(error.status === 401 ? say("wrongToken") : wording(error.message));
    }
  };
  box.addEventListener("keydown", (event) => event.key === "Enter" && send());
  const button = element("button", { type: "button", class: "more main", id: "sign-in-button", click: send }, say("signIn"));
  const form = section("signIn", null, element("div", { class: "controls" }, field(say("token"), box)), button, wrong);
  document.getElementById("content").replaceChildren(form);
  box.focus();
}

async function start() {
  const { classified, lost, spoilt } = recall();
  try {
    await loadModel();
  } catch (error) {
    if (error.status === 401) return signIn();
    draw();
    const again = element("button", { type: "button", class: "more", click: start }, say("again"));
    const notice = element("p", { class: "notice", role: "alert" }, say("unreachable", wording(error.message)));
    document.getElementById("content").replaceChildren(element("div", { class: "card" }, notice, again));
    return;
  }
  draw();
  if (lost) tell("", say("lost"));
  if (spoilt) {
    tell("", say("spoilt"));
    keep();
    keepFiles();
  }
  if (classified) await run();
  else document.getElementById("input").focus();
}

start();
