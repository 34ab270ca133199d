// Tells a screen reader what has come, at most every ten seconds: read out line by line, a log would never be silent.
// The lines themselves are therefore aria-live="off"; errors are named first, for they are what one listens for.
(() => {
  const log = window.runbookweb?.log;
  const news = log?.panel.querySelector("[data-log-news]");
  if (!news) return;

  const EVERY = 10_000;
  const LONGEST = 160;
  let said = log.tail;
  let planned = 0;

  const text = (row) => row?.querySelector(".log__text").textContent.trim().slice(0, LONGEST) ?? "";

  function tell() {
    planned = 0;
    const count = log.tail - said;
    if (count <= 0) return;
    const errors = [...log.scroller.querySelectorAll(".log__line--stderr")].filter((row) => log.number(row) > said);
    said = log.tail;
    const error = errors.length ? `${errors.length} on stderr, the last: ${text(errors.at(-1))}. ` : "";
    news.textContent = `${count.toLocaleString("en")} new line${count === 1 ? "" : "s"}. ${error}Last line: ${text(log.row(log.tail))}`;
  }

  log.panel.addEventListener("log:tail", () => { planned ||= setTimeout(tell, EVERY); });
})();
