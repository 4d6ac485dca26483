// Puts the page together, and again when its language changes.

const SECTIONS = [
  ["overview", overviewSection],
  ["hierarchy", hierarchySection],
  ["levels", levelsSection],
  ["labels", labelsSection],
  ["thresholds", thresholdsSection],
  ["calibration", calibrationSection],
  ...(EVALUATION.promised ? [["promises", promisesSection]] : []),
  ["confusions", confusionsSection],
  ["cases", casesSection],
];

function draw() {
  hideTooltip();
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  const { title, rows, train_rows: train, labels, levels, decoding } = EVALUATION;
  const about = [say("subtitle", rows, labels.length, levels.length, train), decoding ? say("decoded", decoding) : ""];
  const links = SECTIONS.map(([id]) => element("li", {}, element("a", { href: `#${id}` }, say(id))));
  const head = element(
    "header",
    { class: "page" },
    element(
      "div",
      {},
      element("p", { class: "kind" }, say("report")),
      element("h1", { dir: "auto" }, title),
      element("p", { class: "hint" }, about.filter(Boolean).join(" · ")),
    ),
    languageSwitch(),
  );
  const main = element(
    "main",
    { id: "content" },
    SECTIONS.map(([, build]) => build()),
  );
  const skip = element("a", { class: "skip", href: "#content" }, say("skip"));
  const sections = element("nav", { class: "sections", "aria-label": say("sections") }, element("ul", {}, links));
  document.getElementById("page").replaceChildren(skip, head, sections, main, tooltip);
}

draw();
