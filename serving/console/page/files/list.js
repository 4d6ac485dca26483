// Files whose texts are classified: the server reads them, and what cannot be told from a file is chosen here.

const MOST_MEGABYTES = 50;
const ENCODINGS = ["gb18030", "big5", "shift_jis", "euc-kr", "cp1252", "cp1251"];
const handles = new WeakMap(); // of what was read the File, as long as the page is not loaded anew

function openFiles(files) {
  for (const file of files) {
    const read = { name: file.name, texts: [], rows: [], columns: [], sheets: [], notes: [], chosen: {} };
    handles.set(read, file);
    state.files.push(read);
    readFile(read);
  }
}

// Reads a file, as what was chosen says.
async function readFile(read) {
  const file = handles.get(read);
  read.reading?.abort();
  const reading = new AbortController();
  Object.assign(read, { reading, problem: null, texts: [], rows: [] });
  drawFiles();
  try {
    if (file.size > MOST_MEGABYTES * 1e6) throw new Error(say("tooLarge", MOST_MEGABYTES));
    const options = new URLSearchParams({ name: file.name, ...read.chosen });
    Object.assign(read, await ask(`/texts?${options}`, file, reading.signal));
  } catch (error) {
    if (reading.signal.aborted) return;
    if (error.status === 401) return signIn();
    read.problem = error.message;
  }
  if (read.reading !== reading) return;
  read.reading = null;
  drawFiles();
  keepFiles();
}

function closeFile(read) {
  read.reading?.abort();
  state.files.splice(state.files.indexOf(read), 1);
  drawFiles();
  keepFiles();
  document.getElementById("open-files").focus();
}

function drawFiles() {
  document.getElementById("files")?.replaceChildren(...state.files.map(fileItem));
  document.getElementById("found")?.replaceChildren(say("found", texts().length));
}

// The first file that is not ready, if any.
function unready() {
  return state.files.find(({ reading, problem, column }) => reading || problem || !column);
}

function fileItem(read) {
  const { name, reading, problem, column, form, notes } = read;
  const said = reading ? say("reading") : column ? say("found", read.texts.length) : say("chooseColumn");
  const again = element("button", { type: "button", class: "link", click: () => readFile(read) }, say("again"));
  const close = { type: "button", class: "link", "aria-label": say("remove", name), click: () => closeFile(read) };
  return element(
    "li",
    {},
    element("p", {}, element("bdi", {}, name), problem ? " " : [" · ", said, " "], element("button", close, "×")),
    problem ? element("p", { class: "notice", role: "alert" }, wording(problem), " ", handles.has(read) ? again : null) : null,
    form && !problem ? element("p", { class: "hint" }, [form, ...notes].map(wording).join(" · ")) : null,
    handles.has(read) && !reading ? fileChoices(read) : null,
  );
}

function fileChoices(read) {
  const { chosen, columns, sheets, column, problem } = read;
  const choose = (option) => (value) => {
    if (value === "") delete chosen[option];
    else chosen[option] = value;
    if (option !== "column") delete chosen.column;
    readFile(read);
  };
  const named = columns.map(({ name, example }, place) => [place + 1, `${place + 1} · ${[name, example].filter(Boolean).join(": ")}`.slice(0, 120)]);
  const header = element("input", { type: "checkbox", checked: chosen.header !== false, change: () => choose("header")(header.checked) });
  const told = !/\.xls/i.test(read.name);
  const controls = element(
    "div",
    { class: "controls" },
    columns.length ? field(say("column"), choice([["", say("chooseOne")], ...named], column ?? "", choose("column"))) : null,
    sheets.length > 1 ? field(say("sheet"), choice(sheets.map((each) => [each, each]), chosen.sheet ?? sheets[0], choose("sheet"))) : null,
    told ? field(say("encoding"), choice([["", say("asTold")], ...ENCODINGS.map((each) => [each, each])], chosen.encoding ?? "", choose("encoding"))) : null,
    columns.length ? element("label", { class: "way" }, header, say("header")) : null,
  );
  return element("details", { open: !column || Boolean(problem) }, element("summary", {}, say("howRead")), controls);
}
