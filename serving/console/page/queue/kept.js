// Texts that programs have sent, of which the console keeps a sample.

// Says that they are kept, to whoever opens the page, and offers them; null where none is.
function keptNotice() {
  const { kept } = state.caller;
  if (kept === null) return null;
  const show = element("button", { type: "button", class: "link", id: "show-kept", click: showKept }, say("showKept"));
  return element("p", { class: "hint", id: "kept" }, say("textsKept", kept), " ", show);
}

async function showKept() {
  try {
    const { texts: sample } = await ask("/kept");
    if (!sample.length) return tell(say("noneKept"));
    const own = { name: say("keptName"), texts: sample, rows: sample.map((_, row) => row + 1), columns: [], sheets: [], notes: [], chosen: {}, column: 1 };
    state.files = [...state.files.filter(({ name }) => name !== own.name), own];
    drawFiles();
    keepFiles();
  } catch (error) {
    if (error.status === 401 && !state.caller.by_proxy) return signIn();
    tell("", wording(error.message));
  }
}
