// A line or a range that the address names, #L120 or #L120-L140: gone to, marked, and ready to be copied.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const { panel, scroller } = log;
  const bar = panel.querySelector("[data-log-selection]");
  let range = null;

  const parse = (hash) => {
    const match = hash.match(/^#L(\d+)(?:-L?(\d+))?$/);
    if (!match) return null;
    const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
    return { from: Math.min(from, to), to: Math.max(from, to) };
  };
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
    const wanted = parse(location.hash);
    if (!wanted) return;
    if (log.tail && wanted.from > log.tail) wanted.from = wanted.to = log.tail;
    select(wanted);
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
