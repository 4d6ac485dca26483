// Answers as files that people take away.

function save(name, content) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: "text/plain" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// Before what a spreadsheet would compute stands a space, and what would end a row becomes one.
function cell(text) {
  const plain = text.replace(/[\u0000-\u001f\u007f\u2028\u2029]/g, " ");
  return /^\s*[=+@＝＋＠－-]/.test(plain) ? ` ${plain}` : plain;
}

function quoted(text) {
  return `"${cell(text).replaceAll('"', '""')}"`;
}

const COLUMNS = ["text", "labels", "confidences", "problem", "from"];

// Its last column are the labels of the model beside, if there is one.
function header() {
  return state.other ? [...COLUMNS, "compared"] : COLUMNS;
}

function columnsOf({ text, labels, problem, from, other }) {
  const paths = (some) => some.map(({ label }) => label.replaceAll(",", "\\,")).join(",");
  const confidences = labels.map(({ confidence }) => confidence.toFixed(6)).join(",");
  return [text, paths(labels), confidences, problem || "", from, ...(state.other ? [other ? paths(other.labels) : ""] : [])];
}

// By the ending of the file; each gives its content, or a promise of it.
const DOWNLOADS = {
  txt: (answers) => answers.map((answer) => `${columnsOf(answer).slice(0, 3).map(cell).join("\t")}\n`).join(""),
  // The mark lets spreadsheet programs see that it is UTF-8.
  csv: (answers) => `\ufeff${[header(), ...answers.map(columnsOf)].map((row) => `${row.map(quoted).join(",")}\r\n`).join("")}`,
  xlsx: (answers) => askFile("/workbook", { header: header(), rows: answers.map(columnsOf) }),
  jsonl: (answers) =>
    answers
      .map(({ text, labels, truncated, problem, from, other }) => {
        const line = { text, labels, truncated, problem, from: from || undefined, compared: other?.labels };
        return `${JSON.stringify(line)}\n`;
      })
      .join(""),
};

function downloadButtons() {
  const button = (ending, content) => {
    const click = async () => {
      try {
        save(`answers.${ending}`, await content(answered()));
      } catch (error) {
        if (error.status === 401) return signIn();
        tell("", say("notSaved", wording(error.message)));
      }
    };
    return element("button", { type: "button", class: "more", click }, `.${ending}`);
  };
  const named = Object.entries(DOWNLOADS).map(([ending, content]) => button(ending, content));
  return element("p", { class: "actions", id: "downloads", role: "group", "aria-label": say("download") }, say("download"), named);
}
