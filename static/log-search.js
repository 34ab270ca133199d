// The field that searches the log: what was found is counted while one types, gone through, and followed while it grows.
(() => {
  const { log, hits } = window.runbookweb ?? {};
  if (!log) return;

  const TYPING = 250; // milliseconds
  const LOOK_ON = 1000;
  const { panel } = log;
  const form = panel.querySelector("[data-log-search]");
  const field = form.elements.q;
  const said = form.querySelector("[data-log-hits]");
  const steps = form.querySelectorAll("button[data-step]");
  const nothing = { query: "", near: 1, lines: [], before: 0, count: 0, until: 0, is_complete: true };
  const trouble = "the server does not answer";
  let found = nothing;
  let at = -1;
  let turns = 0;
  let typing = 0;
  let lookingOn = 0;
  let way = null; // to the hit that one is brought to, while the search has not come so far

  function show(words) {
    const count = `${(found.before + at + 1).toLocaleString("en")} of ${found.count.toLocaleString("en")}`;
    said.textContent = words ?? (!found.query ? "" : found.count ? count : "no match");
    for (const button of steps) button.disabled = !found.count;
    form.toggleAttribute("data-has-query", Boolean(field.value));
    panel.dispatchEvent(new CustomEvent("log:found", { detail: { ...found, current: found.lines[at] } }));
  }

  // The answer, if nobody has asked for something else meanwhile.
  async function latest(asked) {
    const mine = ++turns;
    const answer = await asked.catch(() => null);
    if (mine !== turns) return null;
    if (!answer) show(trouble);
    return answer;
  }

  async function search({ goes = true } = {}) {
    const query = field.value;
    clearTimeout(typing);
    if (!query) return clear();
    show("searching…");
    const answer = await latest(hits.begin(query, log.top() ?? 1));
    if (!answer) return;
    found = answer;
    way = { goes };
    lookOn();
    await arrive();
  }

  async function arrive() {
    if (!found.is_complete && found.until < found.near) return show("searching…");
    const { goes } = way;
    way = null;
    at = nearest();
    show();
    if (goes) await go();
  }

  // The first hit from where one read on, or else the last one before.
  function nearest() {
    const next = found.lines.findIndex((line) => line >= found.near);
    return next < 0 ? found.lines.length - 1 : next;
  }

  async function go() {
    if (at >= 0) await log.show(found.lines[at]);
    show();
  }

  async function step(by) {
    if (field.value !== found.query) return search();
    if (way || !found.lines.length) return;
    if (!(at + by in found.lines)) return turn(by);
    at += by;
    await go();
  }

  async function turn(by) {
    const edge = found.lines[at];
    const answer = await latest(hits.turn(found, by));
    if (!answer) return;
    found = answer;
    const { lines } = found;
    at = by > 0 ? Math.max(0, lines.findIndex((line) => line > edge)) : lines.findLastIndex((line) => line < edge);
    if (at < 0) at = lines.length - 1;
    lookOn();
    await go();
  }

  // More has come: only what nobody has looked through yet is asked for.
  function lookOn(after = found.is_complete ? LOOK_ON : 0) {
    if (!found.query || lookingOn || (found.is_complete && log.tail <= found.until)) return;
    lookingOn = setTimeout(async () => {
      const asked = found;
      const more = await hits.goOn(asked).catch(() => null);
      lookingOn = 0;
      if (more && found === asked) take(more);
      if (!more && way) show(trouble);
      // The line of the connection says what is the case; at once again would be without end while the server is away.
      if (!found.is_complete) lookOn(more ? 0 : LOOK_ON);
    }, after);
  }

  function take(more) {
    const current = found.lines[at];
    found = more;
    if (way) return arrive();
    at = found.lines.indexOf(current);
    if (at < 0) at = nearest();
    show();
  }

  function clear() {
    turns += 1;
    found = nothing;
    way = null;
    at = -1;
    field.value = "";
    show();
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); step(1); });
  for (const button of steps) button.addEventListener("click", () => step(button.dataset.step === "back" ? -1 : 1));
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, TYPING);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      step(-1);
    }
    if (event.key !== "Escape") return;
    event.preventDefault();
    clear();
    log.scroller.focus({ preventScroll: true });
  });
  panel.addEventListener("log:next", () => step(1));
  panel.addEventListener("log:previous", () => step(-1));
  panel.addEventListener("log:tail", lookOn);
  panel.addEventListener("log:filter", () => search({ goes: false }));
  if (field.value) search({ goes: false });
})();
