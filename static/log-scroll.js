// Loads earlier and later lines as one comes near them, and says so when they cannot be had.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const NEAR = 2000; // pixels: about 100 lines ahead of the reader
  const { panel, scroller } = log;
  const earlier = panel.querySelector("[data-log-earlier]");
  const later = panel.querySelector("[data-log-later]");
  const trouble = panel.querySelector("[data-log-trouble]");
  const lines = (count) => `${count.toLocaleString("en")} line${count === 1 ? "" : "s"}`;
  let isPlanned = false;

  function load() {
    isPlanned = false;
    if (!trouble.hidden) return;
    if (scroller.scrollTop < NEAR) log.extend("before");
    if (scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR) log.extend("after");
  }

  function plan() {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(load);
  }

  function show() {
    earlier.hidden = log.hasHead;
    earlier.textContent = `${lines(log.first - 1)} before these`;
    later.hidden = log.hasTail;
    later.textContent = `${lines(log.tail - log.last)} after these`;
    plan();
  }

  function retry() {
    trouble.hidden = true;
    load();
  }

  for (const [edge, side] of [[earlier, "before"], [later, "after"]]) {
    edge.addEventListener("click", (event) => { event.preventDefault(); log.extend(side); });
  }
  scroller.addEventListener("scroll", plan, { passive: true });
  panel.addEventListener("log:lines", show);
  panel.addEventListener("log:tail", show);
  panel.addEventListener("log:trouble", () => { trouble.hidden = false; });
  trouble.querySelector("button").addEventListener("click", retry);
  addEventListener("online", retry);
  show();
})();
