// Searches the whole log on the server while one types, goes from hit to hit, and looks on while the run goes on.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const TYPING = 250; // milliseconds
  const LOOK_ON = 1000;
  const { panel } = log;
  const form = panel.querySelector("[data-log-search]");
  const field = form.elements.q;
  const said = form.querySelector("[data-log-hits]");
  const steps = form.querySelectorAll("button[data-step]");
  const nothing = { query: "", lines: [], count: 0, until: 0, is_complete: true };
  let found = nothing;
  let at = -1;
  let turn = 0;
  let typing = 0;
  let lookingOn = 0;

  async function ask(query, from) {
    const address = new URL(form.action, location);
    address.searchParams.set("q", query);
    address.searchParams.set("from", from);
    if (panel.dataset.only) address.searchParams.set("only", panel.dataset.only);
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.json();
  }

  function show(words) {
    const many = found.count > found.lines.length ? `the first ${found.lines.length.toLocaleString("en")} of ` : "";
    const hits = `${at + 1} of ${many}${found.count.toLocaleString("en")}`;
    said.textContent = words ?? (!found.query ? "" : found.count ? hits : "no match");
    for (const button of steps) button.disabled = !found.count;
    form.toggleAttribute("data-has-query", Boolean(field.value));
    panel.dispatchEvent(new CustomEvent("log:found", { detail: { ...found, current: found.lines[at] } }));
  }

  async function search({ goes = true } = {}) {
    const query = field.value;
    const mine = ++turn;
    clearTimeout(typing);
    if (!query) return clear();
    show("searching…");
    try {
      const answer = await ask(query, 1);
      if (mine !== turn) return;
      found = { ...answer, query };
      at = nearest();
      show();
      lookOn();
      if (goes) await go();
    } catch {
      if (mine === turn) show("the server does not answer");
    }
  }

  // The first hit from where one reads on, or else the last one before.
  function nearest() {
    const top = log.top() ?? 1;
    const next = found.lines.findIndex((line) => line >= top);
    return next < 0 ? found.lines.length - 1 : next;
  }

  async function go() {
    if (at >= 0) await log.show(found.lines[at]);
    show();
  }

  async function step(by) {
    if (field.value !== found.query) return search();
    if (!found.lines.length) return;
    at = (at + by + found.lines.length) % found.lines.length;
    await go();
  }

  // More has come: only what nobody has looked through yet is asked for.
  function lookOn() {
    if (!found.query || lookingOn || (found.is_complete && log.tail <= found.until)) return;
    lookingOn = setTimeout(async () => {
      const { query, until } = found;
      try {
        const more = await ask(query, until + 1);
        if (found.query !== query || found.until !== until) return;
        // A line that has not ended was not passed: what came after it is in both answers.
        const known = found.lines.filter((line) => line <= until);
        const count = found.count - (found.lines.length - known.length) + more.count;
        found = { ...more, query, lines: [...known, ...more.lines], count };
        if (at < 0) at = nearest();
        show();
      } catch {
        // The line of the connection says what is the case; the next lines bring the next attempt.
      } finally {
        lookingOn = 0;
        if (!found.is_complete) lookOn();
      }
    }, found.is_complete ? LOOK_ON : 0);
  }

  function clear() {
    turn += 1;
    found = nothing;
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
