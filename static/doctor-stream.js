// Reads one of the doctor's streams to its end, or to where it is cut, and notes when each of its events arrived.

export class Refused extends Error {}

const CUT_BY_A_PROXY = [408, 502, 504];

const parsed = (block) => {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
  return fields.data ? { name: fields.event, ...JSON.parse(fields.data) } : null;
};

export async function read(address) {
  const began = performance.now();
  const found = { events: [], headers: new Headers(), isWhole: false, lumps: 0 };
  try {
    await collect(found, address);
  } catch (problem) {
    if (problem instanceof Refused) throw problem; // else the connection was cut, or never opened
  }
  found.seconds = (performance.now() - began) / 1000;
  return found;
}

async function collect(found, address) {
  const answer = await fetch(address, { cache: "no-store" });
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
