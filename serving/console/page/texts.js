// The section where texts are put in and classified.

const status = element("p", { class: "status", role: "status" });
const progressBar = element("progress", { max: 1, value: 0, hidden: true });
const problem = element("p", { class: "notice", role: "alert", hidden: true });

let told = () => ""; // what the status says, in whichever language

function tell(said, wrong = "") {
  told = typeof said === "function" ? said : () => said;
  status.replaceChildren(told());
  problem.hidden = !wrong;
  problem.replaceChildren(wrong);
}

function textsSection() {
  const box = element("textarea", {
    id: "input",
    rows: 8,
    "aria-label": say("input"),
    spellcheck: "false",
    dir: "auto",
    input: () => take(box.value),
    keydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
    },
  });
  box.value = state.input;
  const found = element("span", { class: "hint", id: "found" });
  const take = (input) => {
    state.input = input;
    found.replaceChildren(say("found", texts().length));
    keep();
  };
  const way = (eachLine, name) =>
    element(
      "label",
      { class: "way" },
      element("input", {
        type: "radio",
        name: "way",
        checked: state.eachLine === eachLine,
        change: () => {
          state.eachLine = eachLine;
          take(box.value);
        },
      }),
      name,
    );
  const chooser = element("input", {
    type: "file",
    hidden: true,
    multiple: true,
    accept: ".txt,.csv,.tsv,.xlsx,.xlsm,.jsonl,.ndjson",
    change: () => {
      openFiles([...chooser.files]);
      chooser.value = "";
    },
  });
  const button = (name, click, attributes = {}) =>
    element("button", { type: "button", class: "more", click, ...attributes }, say(name));
  const buttons = element(
    "p",
    { class: "actions" },
    button("classify", run, { id: "classify", class: "more main" }),
    button("cancel", () => state.running?.abort(), { id: "cancel", hidden: !state.running }),
    button("openFile", () => chooser.click(), { id: "open-files" }),
    button("clear", () => {
      box.value = "";
      for (const read of [...state.files]) closeFile(read);
      take("");
      box.focus();
    }),
    chooser,
    found,
  );
  const made = section(
    "texts",
    say("textsHint"),
    box,
    element("p", { class: "ways" }, way(true, say("eachLine")), way(false, say("oneText"))),
    element("ul", { id: "files", "aria-label": say("files") }, state.files.map(fileItem)),
    buttons,
    keptNotice(),
    progressBar,
    status,
    problem,
  );
  made.addEventListener("dragover", (event) => event.preventDefault());
  made.addEventListener("drop", (event) => {
    const files = [...event.dataTransfer.files];
    if (!files.length) return;
    event.preventDefault();
    openFiles(files);
  });
  found.replaceChildren(say("found", texts().length));
  status.replaceChildren(told());
  return made;
}

async function run() {
  const asked = texts();
  if (state.running) return;
  if (unready()) return tell("", say("notReady", unready().name));
  if (!asked.length) return;
  const running = new AbortController();
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  let done = 0;
  state.running = running;
  state.rows = asked;
  keep();
  working(true);
  try {
    const advance = (number) => {
      done += number;
      progressBar.value = done / asked.length;
      tell(say("progress", done, asked.length, Math.round(done / seconds())));
      drawSoon(true);
    };
    const strings = asked.map(({ text }) => text);
    const classify = (path, model, place, advanced) => {
      const received = (places, answers, bundle) => {
        if (bundle !== model.bundle) throw new Refusal(409, say("newModel"));
        answers.forEach((answer, row) => (asked[places[row]][place] = answer));
        advanced(answers.length);
      };
      const refused = (row, problem) => {
        asked[row][place] = { labels: [], columns: [], scores: [], problem };
        advanced(1);
      };
      return classifyAll(path, strings, running.signal, received, refused).catch((error) => {
        if (path && error.status === 404) throw new Refusal(409, say("noOther"));
        throw error;
      });
    };
    const both = [classify("", state.model, "answer", advance)];
    if (state.other) both.push(classify(COMPARED, state.other, "other", () => drawSoon(true)));
    await Promise.all(both);
    const taken = seconds();
    tell(() => say("done", done, taken));
  } catch (error) {
    const cancelled = running.signal.aborted && error.name === "AbortError";
    running.abort();
    if (state.running !== running) return; // another one began
    if (error.status === 409) return await changeOver(error.message);
    if (error.status === 401) return signIn();
    if (cancelled) tell(() => say("cancelled", done, asked.length));
    else tell("", say("failed", done, asked.length, wording(error.message)));
  } finally {
    if (state.running === running) working(false);
    drawAnswers(true);
  }
}

function working(now) {
  if (!now) state.running = null;
  progressBar.hidden = !now;
  progressBar.value = 0;
  document.getElementById("cancel").hidden = !now;
  document.getElementById("classify").disabled = now;
}

// Another version was published meanwhile: its labels may be others.
async function changeOver(why = say("newModel")) {
  state.running?.abort();
  working(false);
  try {
    await loadModel();
  } catch (error) {
    return error.status === 401 ? signIn() : tell("", say("unreachable", wording(error.message)));
  }
  state.rows = []; // they bear the numbers of other labels
  draw();
  tell(why);
  await run();
  status.append(` · ${why}`);
}
