// What the server is doing: figures of the last minutes, drawn for as long as somebody looks.

const EVERY_SECONDS = 2;
const KEPT_SAMPLES = 150; // five minutes

const samples = [];

function trafficSection() {
  const host = element("div", {});
  const fold = element("details", { id: "traffic-fold", toggle: () => fold.open && watch(fold, host) }, element("summary", {}, say("showTraffic")), host);
  return section("traffic", null, fold);
}

async function watch(fold, host) {
  while (fold.open && fold.isConnected) {
    try {
      samples.push({ at: performance.now() / 1000, ...(await ask("/traffic")) });
      samples.splice(0, samples.length - KEPT_SAMPLES);
      host.replaceChildren(trafficFigures());
    } catch (error) {
      if (error.status === 401) return signIn();
      host.replaceChildren(element("p", { class: "notice", role: "alert" }, wording(error.message)));
    }
    await new Promise((done) => setTimeout(done, EVERY_SECONDS * 1000));
  }
}

// Per pair of neighbouring samples what was counted between them; a server that started anew counts from nought.
function between(draw) {
  return samples.slice(1).map((now, place) => {
    const before = samples[place];
    const since = (name) => Math.max(0, now[name] - before[name]);
    return draw(since, now.at - before.at);
  });
}

function trafficFigures() {
  const last = samples[samples.length - 1];
  const share = (part, whole) => (whole ? part / whole : null);
  const lines = [
    ["textRate", between((since, seconds) => since("texts") / seconds), (value) => value.toFixed(1)],
    ["refusedRate", between((since, seconds) => since("refused") / seconds), (value) => value.toFixed(1)],
    ["latency", between((since) => share(1000 * since("seconds"), since("requests"))), (value) => `${value.toFixed(1)} ms`],
    ["emptyShare", between((since) => share(since("empty"), since("texts"))), (value) => `${percent(value)} %`],
  ];
  const tiles = lines.map(([name, values, show]) => {
    const known = values.filter((value) => value !== null);
    const now = known.length ? show(known[known.length - 1]) : "–";
    return element("div", { class: "tile" }, element("dt", {}, say(name)), element("dd", { class: "score" }, now), element("dd", {}, sparkline(values, say(name))));
  });
  const shifts = Object.entries(last.shifts).map(([feature, value]) => say("shift", say("features")[feature] || feature, value));
  return element(
    "div",
    {},
    element("dl", { class: "tiles" }, tiles),
    element("p", { class: "hint more-figures" }, [say("sinceStart", last.texts, last.refused, last.empty), ...shifts].join(" · ")),
  );
}

function sparkline(values, name) {
  const [width, height] = [200, 40];
  const most = Math.max(...values.filter((value) => value !== null), 1e-9);
  const place = (value, at) => `${((at + KEPT_SAMPLES - values.length) / (KEPT_SAMPLES - 2)) * width},${height - (value / most) * (height - 2) - 1}`;
  const points = values.map((value, at) => (value === null ? null : place(value, at))).filter(Boolean);
  const line = shape("polyline", { points: points.join(" "), fill: "none", stroke: "currentColor", "stroke-width": 1.5 });
  return shape("svg", { class: "sparkline", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name, preserveAspectRatio: "none" }, line);
}
