// Reads one of the doctor's streams to its end, or to where it is cut, and notes when each of its events arrived.

export class Refused extends Error {}

const UNREACHED = "The server could not be reached. Is this device offline?";
const CUT_BY_A_PROXY = [408, 502, 504];

const parsed = (block) => {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
  return fields.data ? { name: fields.event, ...JSON.parse(fields.data) } : null;
};

// In a tunnel nothing is ever answered, and nothing refused either.
export async function ask(address, { patience = 15 } = {}) {
  try {
    return await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(1000 * patience) });
  } catch {
    throw new Refused(UNREACHED);
  }
}

export async function read(address, options) {
  const began = performance.now();
  const found = { events: [], headers: new Headers(), isWhole: false, lumps: 0 };
  try {
    await collect(found, await ask(address, options));
  } catch (problem) {
    if (problem instanceof Refused) throw problem; // else the connection was cut
  }
  found.seconds = (performance.now() - began) / 1000;
  return found;
}

async function collect(found, answer) {
  found.headers = answer.headers;
  if (CUT_BY_A_PROXY.includes(answer.status)) return;
  if (!answer.ok) throw new Refused((await answer.text()).slice(0, 200) || `Answered with ${answer.status}.`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const arrived = performance.now();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    const events = blocks.map(parsed).filter(Boolean);
    found.lumps += events.some((event) => event.name === "line") ? 1 : 0;
    for (const event of events) {
      found.isWhole ||= event.name === "done";
      if (event.name === "line") found.events.push({ ...event, arrived });
    }
  }
}
