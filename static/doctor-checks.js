// The doctor's measurements: each gives a verdict (good, note, bad), and what was measured in words.
import { Refused, ask } from "./doctor-stream.js";

const SOON = 250; // milliseconds within which a line must be there
const FAR = 250; // milliseconds of a round trip that one begins to notice
const APART = 2; // seconds between two clocks

const ms = (value) => (value < 950 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

export async function trip() {
  const took = [];
  for (let time = 0; time < 5; time += 1) {
    const began = performance.now();
    const answer = await ask("/healthz");
    await answer.text();
    took.push(performance.now() - began);
  }
  const typical = median(took);
  return { verdict: typical <= FAR ? "good" : "note", value: `${ms(typical)}, the median of ${took.length}`, typical };
}

// Of each line it is known how long after the first it was sent: what arrives later than that was held back.
export function lines(stream, roundTrip) {
  const cut = `The stream was cut after ${stream.seconds.toFixed(1)} s.`;
  if (!stream.isWhole && stream.events.length) throw new Refused(`${cut} Measure again.`); // not held back, for some came
  if (!stream.isWhole) return { verdict: "bad", value: cut };
  const holds = stream.events.map((event) => event.arrived - event.sent);
  const late = Math.max(...holds) - Math.min(...holds) + roundTrip / 2;
  const count = `${stream.events.length} lines, sent 200 ms apart`;
  if (late <= SOON) return { verdict: "good", value: `${count}: the latest was here ${ms(late)} after it was sent` };
  const lumps = stream.lumps === 1 ? "all in one lump" : `in ${stream.lumps} lumps`;
  return { verdict: "bad", value: `${count}, came ${lumps}: one was held back for ${ms(late)}` };
}

export function encoding(stream, areLate) {
  const compressed = stream.headers.get("Content-Encoding");
  const proxy = [stream.headers.get("Server"), stream.headers.get("Via")].filter(Boolean).join(", ");
  const accel = stream.headers.has("X-Accel-Buffering") ? "X-Accel-Buffering came through" : "a proxy has taken X-Accel-Buffering";
  const value = [compressed ? `Compressed with ${compressed}` : "Not compressed", accel, proxy && `answered by ${proxy}`];
  return { verdict: compressed ? (areLate ? "bad" : "note") : "good", value: value.filter(Boolean).join("; ") };
}

export async function ready() {
  const answer = await ask("/readyz");
  const { checks } = await answer.json();
  const said = Object.entries(checks).map(([name, words]) => `${name.replace("_", " ")}: ${words}`);
  return { verdict: answer.ok ? "good" : "bad", value: said.join("; ") };
}

export function protocol() {
  const spoken = performance.getEntriesByType("navigation")[0]?.nextHopProtocol ?? "";
  return { verdict: /^h[23]/.test(spoken) ? "good" : "note", value: spoken ? spoken.toUpperCase() : "The browser does not say" };
}

export function secure() {
  const value = location.protocol === "https:" ? "HTTPS" : window.isSecureContext ? "HTTP within this machine" : "HTTP";
  return { verdict: window.isSecureContext ? "good" : "note", value };
}

// There is no run 0: that the server says so itself, by a code of its own, shows that the socket reached it.
export function socket() {
  const address = new URL("/api/runs/0/socket", location);
  address.protocol = address.protocol.replace("http", "ws");
  return new Promise((resolve) => {
    const probe = new WebSocket(address);
    probe.addEventListener("close", ({ code }) => {
      const value = { 4404: "Opened, and answered by the server", 4401: "Opened, but Host is not passed on" }[code];
      resolve({ verdict: code === 4404 ? "good" : "note", value: value ?? `Not opened (code ${code})` });
    });
  });
}

export function clock(stream, roundTrip) {
  if (!stream.events.length) throw new Refused("No event came.");
  const { time, arrived } = stream.events.at(-1);
  const ahead = (performance.timeOrigin + arrived - roundTrip / 2 - time) / 1000;
  const apart = Math.abs(ahead).toFixed(1);
  const value = `This browser's clock is ${apart} s ${ahead > 0 ? "ahead of" : "behind"} the server's`;
  return Math.abs(ahead) <= APART ? { verdict: "good", value: `Less than ${APART} s apart` } : { verdict: "note", value };
}

export function lasting(stream, { silence, ping }) {
  if (stream.isWhole) return { verdict: "good", value: `Open for all of ${silence} s` };
  const verdict = ping && stream.seconds > 1.5 * ping ? "note" : "bad";
  return { verdict, value: `Cut after ${stream.seconds.toFixed(1)} s` };
}
