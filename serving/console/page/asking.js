// What is asked of the console's server.

const BATCH = 64; // texts in a request, as long as nothing else is known
const FEWEST = 16;
const MOST = 512;
const MOST_CHARACTERS = 2e6; // of a request: the server takes 16 MiB, and JSON may write six bytes for each
const REQUEST_SECONDS = 0.4; // that a request should take: large ones cost less, and with small ones the bar moves
const UNDER_WAY = 2; // requests at once

class Refusal extends Error {
  constructor(status, message, row) {
    super(message);
    this.status = status;
    this.row = row;
  }
}

async function ask(path, body, signal) {
  const answer = await send(path, body, signal);
  return answer.json().catch((error) => {
    if (signal?.aborted) throw error;
    throw new Refusal(0, "the console's answer cannot be read");
  });
}

async function askFile(path, body) {
  return (await send(path, body)).blob();
}

// `body` is a file, or is sent as JSON.
async function send(path, body, signal) {
  const isFile = body instanceof Blob;
  const headers = { "Content-Type": isFile ? "application/octet-stream" : "application/json" };
  const options = body && { method: "POST", headers, body: isFile ? body : JSON.stringify(body) };
  const answer = await fetch(path, { ...options, signal }).catch((error) => {
    if (signal?.aborted) throw error;
    throw new Refusal(0, "the console does not answer; is it running?");
  });
  if (answer.ok) return answer;
  const given = await answer.json().catch(() => ({}));
  throw new Refusal(answer.status, given.error || `the console answered with status ${answer.status}, and did not say why`, given.row);
}

// Classifies all texts by the model at a path, a few requests at a time, each as large as the server answers in good time.
// `received(places, answers, bundle)` takes each request's answers; `refused(place, why)` a text that cannot be read, without
// which the others are sent again.
async function classifyAll(model, texts, signal, received, refused) {
  let next = 0;
  let size = BATCH;
  function take() {
    const first = next;
    let characters = 0;
    do characters += texts[next++].length;
    while (next < texts.length && next - first < size && characters + texts[next].length <= MOST_CHARACTERS);
    return Array.from({ length: next - first }, (_, row) => first + row);
  }
  async function work() {
    while (next < texts.length) {
      const places = take();
      while (places.length) {
        try {
          const started = performance.now();
          const { answers, bundle } = await ask(`${model}/scores`, { texts: places.map((place) => texts[place]) }, signal);
          const seconds = (performance.now() - started) / 1000;
          size = Math.min(MOST, Math.max(FEWEST, Math.round((places.length / seconds) * REQUEST_SECONDS)));
          received(places, answers, bundle);
          break;
        } catch (error) {
          const row = error.status === 413 && places.length === 1 ? 0 : error.status === 400 ? error.row : undefined;
          if (row === undefined) throw error;
          const why = error.status === 413 ? "the text is larger than a request may be; shorten it" : error.message;
          refused(places.splice(row, 1)[0], why.replace(/^row \d+: /, ""));
        }
      }
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, work));
}
