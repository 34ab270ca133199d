// The choices of the View menu: times, wrapping, only stderr, and the line to go to.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const { panel, scroller } = log;
  const view = panel.querySelector("[data-log-view]");
  const only = view.elements.only;
  const line = view.elements.line;
  let left = {};

  // Another height of the lines must not carry the reader away.
  function set(name, value) {
    const wasFollowing = log.isFollowing;
    log.keep(() => { panel.dataset[name] = value; });
    if (wasFollowing) scroller.scrollTop = scroller.scrollHeight;
  }

  function remember() {
    const { times, wrap } = panel.dataset;
    window.runbookweb.keep("runbookweb_log", `${times}.${wrap === "true" ? "wrap" : "nowrap"}`);
  }

  // Not remembered for other runs: there, missing output would look like no output.
  async function filter() {
    const [top, wasFollowing] = [place(), log.isFollowing];
    panel.dataset.only = only.checked ? "stderr" : "";
    showFilter();
    await log.open(wasFollowing || !top ? { end: 1 } : { around: top });
    log.isFollowing = wasFollowing;
    if (!wasFollowing && top) log.scrollTo(top);
    left = { top, seen: log.top() };
    log.tell("log:filter");
  }

  // Where one reads; and where one was before the last choice, if one has stayed where that has led.
  function place() {
    const top = log.top();
    return left.seen === top ? left.top : top;
  }

  function showFilter() {
    only.checked = panel.dataset.only === "stderr";
    panel.querySelector("[data-log-only]").hidden = !only.checked;
  }

  view.addEventListener("change", ({ target }) => {
    if (target === only) filter();
    if (target.name === "times") set("times", target.value);
    if (target.name === "wrap") set("wrap", String(target.checked));
    remember();
    log.tell("log:view");
  });

  view.addEventListener("submit", (event) => {
    event.preventDefault();
    const number = Math.max(1, Math.min(Number(line.value), log.tail));
    location.hash = `#L${number}`;
    view.hidePopover();
    scroller.focus({ preventScroll: true });
  });

  panel.querySelector("[data-log-all]").addEventListener("click", () => { only.click(); scroller.focus(); });
  panel.addEventListener("log:all", showFilter);
  view.querySelector("[data-log-choices]").disabled = false;
  showFilter(); // some browsers fill forms in as they were
  view.elements.times.value = panel.dataset.times;
  view.elements.wrap.checked = panel.dataset.wrap === "true";
})();
