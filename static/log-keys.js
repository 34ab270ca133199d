// The keys of the log; they work while it has the focus, so that nobody presses them by accident.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const { panel, scroller } = log;

  async function toStart() {
    log.isFollowing = false;
    if (log.hasHead || (await log.open({ from: 1 }))) scroller.scrollTop = 0;
  }

  const keys = {
    "/": () => panel.querySelector("[data-log-search] input").focus(),
    End: () => log.tell("log:end"),
    Home: toStart,
    n: () => log.tell("log:next"),
    N: () => log.tell("log:previous"),
    Escape: () => log.tell("log:clear"),
  };

  scroller.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
})();
