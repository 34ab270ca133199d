// Follows the log's end until the reader scrolls up, and then says how many lines have come since.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const { panel, scroller } = log;
  const button = panel.querySelector("[data-log-follow]");
  const words = button.querySelector("[data-log-new]");
  let seen = log.tail;
  let isPlanned = false;
  let lastTop = 0;
  let lastHeight = 0;
  let lastRoom = 0;

  const isAtEnd = () => log.hasTail && scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;

  function show() {
    if (log.isFollowing || isAtEnd()) seen = log.tail;
    const count = log.tail - seen;
    const lines = panel.dataset.only ? "new output" : `${count.toLocaleString("en")} new line${count === 1 ? "" : "s"}`;
    words.textContent = count ? lines : "";
    button.hidden = log.isFollowing || isAtEnd();
  }

  function look() {
    isPlanned = false;
    if (log.isFollowing) scroller.scrollTop = scroller.scrollHeight;
    remember();
    show();
  }

  function remember() {
    lastTop = scroller.scrollTop;
    lastHeight = scroller.scrollHeight;
    lastRoom = scroller.clientHeight;
  }

  // One look a frame, however many messages came: measuring after each would lay the panel out each time.
  function plan() {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(look);
  }

  async function follow() {
    if (!log.hasTail && !(await log.open({ end: 1 }))) return;
    log.isFollowing = true;
    log.extend("after");
    look();
  }

  // Up is the reader's own movement, unless lines have gone or the window is another: ours goes to the end alone.
  scroller.addEventListener("scroll", () => {
    const isSame = scroller.scrollHeight >= lastHeight && scroller.clientHeight === lastRoom;
    if (scroller.scrollTop < lastTop && isSame) log.isFollowing = false;
    else if (scroller.scrollTop > lastTop && isAtEnd()) log.isFollowing = true;
    remember();
    show();
  }, { passive: true });
  // Heard before it scrolls: one more step of ours to the end would cut the wheel's movement short.
  scroller.addEventListener("wheel", (event) => {
    if (event.deltaY < 0 && scroller.scrollTop > 0) log.isFollowing = false;
  }, { passive: true });

  button.addEventListener("click", () => { follow(); scroller.focus(); });
  panel.addEventListener("log:end", follow);
  panel.addEventListener("log:shown", remember); // a line near the end that was gone to is no wish to follow
  panel.addEventListener("log:lines", plan);
  panel.addEventListener("log:tail", plan);
  // Some browsers lay new lines out a frame later: what was the end then is not the end.
  const sizes = new ResizeObserver(plan);
  for (const part of [scroller, panel.querySelector("[data-log-chunks]")]) sizes.observe(part);
  log.isFollowing = log.hasTail && !location.hash.startsWith("#L");
  look();
})();
