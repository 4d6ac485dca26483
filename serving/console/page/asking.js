// What is asked of the console's server.

const BATCH = 64; // texts in a request
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

// Classifies all texts by the model at a path, a few requests at a time. `received(places, answers, bundle)` takes each request's answers;
// `refused(place, why)` a text that cannot be read, without which the others are sent again.
async function classifyAll(model, texts, signal, received, refused) {
  let next = 0;
  async function work() {
    while (next < texts.length) {
      const first = next;
      next += BATCH;
      const places = texts.slice(first, first + BATCH).map((_, row) => first + row);
      while (places.length) {
        try {
          const { answers, bundle } = await ask(`${model}/scores`, { texts: places.map((place) => texts[place]) }, signal);
          received(places, answers, bundle);
          break;
        } catch (error) {
          if (error.status !== 400 || error.row === undefined) throw error;
          refused(places.splice(error.row, 1)[0], error.message.replace(/^row \d+: /, ""));
        }
      }
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, work));
}
