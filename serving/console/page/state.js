// What the page knows; what a reload must not lose is kept in the browser's own memory of this tab.
const KEPT = "console";
const KEPT_FILES = "console-files";

const state = {
  model: null, // as /model describes it
  caller: null, // as /caller says
  other: null, // one beside it, if any
  input: "",
  eachLine: true,
  files: [], // as /texts answers, with a name; see files/list.js
  settings: { threshold: null, policy: null, topK: null, promise: null }, // null: as the model says
  onlyDiffering: false,
  rows: [], // { text, from, answer, other }, answer null until it is there; `from` the file and its row, if any
  running: null, // an AbortController
  said: { status: "", problem: "" },
  query: "",
  onlyEmpty: false,
  order: "asGiven",
  onlyUnjudged: false,
};

function keep() {
  const { input, eachLine, settings, rows } = state;
  store(KEPT, { input, eachLine, settings, classified: rows.length > 0 });
}

function keepFiles() {
  store(KEPT_FILES, { files: state.files.map(({ reading, ...read }) => read) });
}

function store(key, kept) {
  try {
    sessionStorage.setItem(key, JSON.stringify(kept));
  } catch {
    try {
      sessionStorage.setItem(key, JSON.stringify({ lost: true })); // it is more than the browser keeps
    } catch {
      // nor does it keep anything else
    }
  }
}

// Takes up what was there before a reload; tells whether texts were classified then, and whether some are lost or
// what is there cannot be read.
function recall() {
  try {
    const [own, read] = [KEPT, KEPT_FILES].map((key) => JSON.parse(sessionStorage.getItem(key)) || {});
    const { input, eachLine, settings, files } = state;
    const { classified, lost, ...kept } = { input, eachLine, settings, files, ...own, ...read };
    if (!isSound(kept)) return { spoilt: true };
    Object.assign(state, kept);
    return { lost, classified: classified && !lost };
  } catch {
    return { spoilt: true };
  }
}

// Others on this address can write to it, too.
function isSound({ input, eachLine, settings, files, ...more }) {
  const isNumber = (value) => value === null || Number.isFinite(value);
  const { threshold, policy, topK, promise, ...others } = settings;
  const isFile = ({ name, texts, rows, columns, sheets, notes, chosen }) =>
    typeof name === "string" && [texts, rows, columns, sheets, notes].every(Array.isArray) && texts.every((text) => typeof text === "string") && Boolean(chosen);
  return (
    typeof input === "string" &&
    typeof eachLine === "boolean" &&
    [threshold, topK, promise].every(isNumber) &&
    (policy === null || Object.hasOwn(MESSAGES.en.policies, policy)) &&
    files.every(isFile) &&
    ![more, others].some((each) => Object.keys(each).length)
  );
}

// What is to be classified, as rows without answers.
function texts() {
  const lines = state.eachLine ? state.input.split(/\r\n|\n|\r/) : [state.input];
  const typed = lines.filter((line) => line.trim()).map((text) => ({ text, from: "", answer: null, other: null }));
  const read = state.files.map(({ name, texts, rows }) => texts.map((text, row) => ({ text, from: `${name}:${rows[row]}`, answer: null, other: null })));
  return typed.concat(...read);
}

function isOwn() {
  return Object.values(state.settings).some((value) => value !== null);
}

// The labels of a row: the server's own answer, or what the settings make of its scores.
function labelsOf(answer, model) {
  if (!isOwn() || answer.problem) return answer.labels;
  if (model.decoding.leading?.length) return answer.asked || answer.labels;
  const { threshold, policy, topK, promise } = state.settings;
  const { thresholds, decoding, promises } = model;
  const held = promises.find(({ precision }) => precision === promise);
  if (held) return decode(answer, model, held.thresholds, { policy: "top_down" });
  return decode(answer, model, threshold ?? thresholds, {
    policy: policy ?? decoding.policy,
    atLeastOne: decoding.at_least_one,
    topK: topK ?? decoding.top_k,
  });
}

function answered() {
  return state.rows
    .filter(({ answer }) => answer)
    .map(({ text, from, answer, other }) => ({
      text,
      from,
      labels: labelsOf(answer, state.model),
      beside: other,
      other: other && comparable() && { ...other, labels: labelsOf(other, state.other) },
      truncated: answer.truncated,
      problem: answer.problem,
      given: answer,
    }));
}
