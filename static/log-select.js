// A line or a range that the address names, #L120 or #L120-L140: gone to, marked, and ready to be copied.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const { panel, scroller } = log;
  const bar = panel.querySelector("[data-log-selection]");
  let range = null;

  const parse = (hash) => {
    const match = hash.match(/^#L(\d{1,15})(?:-L?(\d{1,15}))?$/);
    if (!match) return null;
    const [from, to] = [match[1], match[2] ?? match[1]].map((number) => Math.max(1, Number(number)));
    return { from: Math.min(from, to), to: Math.max(from, to) };
  };
  // Of a run that goes on, a range may reach beyond the end: these lines are still to come.
  const clamped = ({ from, to }) => ({
    from: Math.min(from, log.tail || from),
    to: hasEnded() || from > log.tail ? Math.min(to, log.tail || to) : to,
  });
  const hasEnded = () => document.querySelector("[data-connection]").dataset.connection === "ended";
  const hashOf = ({ from, to }) => (from === to ? `#L${from}` : `#L${from}-L${to}`);
  const has = (number) => range && range.from <= number && number <= range.to;

  function mark(parts) {
    for (const row of parts.flatMap((part) => log.rows(part))) row.classList.toggle("log__line--marked", Boolean(has(log.number(row))));
  }

  function select(wanted) {
    range = wanted;
    mark(log.chunks);
    bar.hidden = !range;
    if (!range) return;
    const { from, to } = range;
    bar.querySelector("[data-log-range]").textContent =
      from === to ? `Line ${from.toLocaleString("en")}` : `Lines ${from.toLocaleString("en")}–${to.toLocaleString("en")}`;
    bar.querySelector("[data-log-copy]").dataset.address = `${panel.dataset.logUrl}?times=none&lines=${from}-${to}`;
  }

  async function go() {
    const asked = parse(location.hash);
    if (!asked || (!log.tail && hasEnded())) return;
    const wanted = clamped(asked);
    if (hashOf(wanted) !== location.hash) choose(wanted);
    else select(wanted);
    await log.show(wanted.from);
  }

  // The address changes without a step back in the browser's history for each line that one has looked at.
  function choose(wanted) {
    history.replaceState(null, "", wanted ? hashOf(wanted) : location.pathname + location.search);
    select(wanted);
  }

  scroller.addEventListener("click", (event) => {
    const link = event.target.closest(".log__number");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const number = log.number(link.parentElement);
    if (event.shiftKey && range) choose({ from: Math.min(range.from, number), to: Math.max(range.from, number) });
    else choose({ from: number, to: number });
  });
  bar.querySelector("[data-log-clear]").addEventListener("click", () => { choose(null); scroller.focus({ preventScroll: true }); });
  panel.addEventListener("log:clear", () => choose(null));
  panel.addEventListener("log:lines", ({ detail }) => { if (range) mark(detail.parts); });
  addEventListener("hashchange", go);
  go();
})();
