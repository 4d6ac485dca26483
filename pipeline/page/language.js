// What the page says, by its MESSAGES, in the language that the reader's browser asks for, or that was chosen.
let language = /^zh\b/i.test(navigator.language) ? "zh" : "en";

function say(key, ...values) {
  const message = MESSAGES[language][key];
  return typeof message === "function" ? message(...values) : message;
}

function count(number) {
  return new Intl.NumberFormat(language === "zh" ? "zh-CN" : "en").format(number);
}

function languageSwitch() {
  const button = (code, name) =>
    element(
      "button",
      { type: "button", lang: code, "aria-pressed": String(language === code), click: () => speak(code) },
      name,
    );
  return element(
    "div",
    { class: "languages", role: "group", "aria-label": say("language") },
    button("zh", "中文"),
    button("en", "English"),
  );
}

function speak(code) {
  language = code;
  draw();
  document.querySelector('.languages [aria-pressed="true"]').focus();
}
