// Measures on the page of the doctor: what is quick by itself, what takes long on a press, and shows each verdict.
import * as measure from "./doctor-checks.js";
import { read } from "./doctor-stream.js";

const page = document.querySelector("[data-doctor]");
const { stream } = page.dataset;
const silence = Number(page.dataset.silence);
const ping = Number(page.dataset.ping);
const item = (name) => page.querySelector(`[data-check="${name}"]`);

function show(name, { verdict, value = "" }) {
  const check = item(name);
  check.dataset.verdict = verdict;
  for (const element of check.querySelectorAll("[data-when]")) {
    element.hidden = !element.dataset.when.split(" ").includes(verdict);
  }
  const text = check.querySelector("[data-value]");
  text.textContent = value;
  text.hidden = !value;
}

async function check(name, measured) {
  try {
    show(name, await measured());
  } catch (problem) {
    show(name, { verdict: "unknown", value: problem.message });
  }
}

async function quick() {
  const names = ["trip", "lines", "encoding", "ready", "protocol", "secure", "socket", "clock"];
  for (const name of names) show(name, { verdict: "measuring" });
  await Promise.all([check("protocol", measure.protocol), check("secure", measure.secure), check("ready", measure.ready)]);
  let roundTrip = 0;
  await check("trip", async () => {
    const found = await measure.trip();
    roundTrip = found.typical;
    return found;
  });
  await check("socket", measure.socket);
  const reading = read(`${stream}?of=lines`);
  await check("lines", async () => measure.lines(await reading, roundTrip));
  await check("encoding", async () => measure.encoding(await reading, item("lines").dataset.verdict === "bad"));
  await check("clock", async () => measure.clock(await reading, roundTrip));
}

async function long() {
  await Promise.all([
    lasting("silence", { silence, ping }),
    lasting("pings", { silence }),
  ]);
}

async function lasting(name, limits) {
  show(name, { verdict: "measuring" });
  const address = `${stream}?of=${name}&silence=${silence}`;
  const bar = item(name).querySelector("[data-progress]");
  const began = performance.now();
  bar.hidden = false;
  const timer = setInterval(() => { bar.value = (performance.now() - began) / 1000; }, 250);
  await check(name, async () => measure.lasting(await read(address, { patience: silence + 15 }), limits));
  clearInterval(timer);
  bar.hidden = true;
}

function sum() {
  const count = (verdict) => page.querySelectorAll(`[data-verdict="${verdict}"]`).length;
  const [bad, note, unknown, waiting] = ["bad", "note", "unknown", "waiting"].map(count);
  const parts = [
    bad ? `${bad} ${bad === 1 ? "thing" : "things"} to change` : unknown ? "Nothing to change was found" : "Nothing has to be changed",
    note && `${note} to note`,
    unknown && `${unknown} could not be measured`,
    waiting && "the silence is yet to be measured",
  ];
  const summary = page.querySelector("[data-summary]");
  summary.textContent = `${parts.filter(Boolean).join(", ")}.`;
  summary.classList.toggle("notice--error", bad > 0);
  summary.classList.toggle("notice--good", !bad);
  summary.hidden = false;
}

// Two at once would disturb each other, so while one is at work no button does anything; each keeps the keyboard's focus.
const buttons = page.querySelectorAll("[data-run]");
let isMeasuring = false;

function be(measuring) {
  isMeasuring = measuring;
  for (const button of buttons) button.ariaDisabled = String(measuring);
}

async function run(button) {
  if (isMeasuring) return;
  be(true);
  await { quick, long }[button.dataset.run]();
  sum();
  be(false);
}

for (const button of buttons) {
  button.hidden = false;
  button.addEventListener("click", () => run(button));
  if (button.dataset.run === "quick") run(button);
}
