// Keeps the live log usable: follows its end until the reader scrolls up, bounds it, says when the connection is gone.
(() => {
  const MOST_LINES = 10000;
  const RETRY = 1000;
  const REFUSED = [401, 403, 404];

  function setUp(panel) {
    const lines = panel.querySelector("[data-log-lines]");
    const stream = panel.querySelector("[data-log-stream]");
    const follow = panel.querySelector("[data-log-follow]");
    const connection = panel.querySelector("[data-log-connection]");
    let isFollowing = !location.hash.startsWith("#L");
    let hasEnded = false;
    let isPlanned = false;
    let lastTop = 0;
    let lastHeight = 0;

    const isAtEnd = () => lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    const showFollow = () => { follow.hidden = isFollowing || isAtEnd(); };
    const toEnd = () => { lines.scrollTop = lines.scrollHeight; };

    // One look a frame, however many messages came: measuring after each would lay the panel out each time.
    function plan() {
      if (isPlanned) return;
      isPlanned = true;
      requestAnimationFrame(() => {
        isPlanned = false;
        trim();
        if (isFollowing) toEnd();
        remember();
        showFollow();
      });
    }

    function remember() {
      lastTop = lines.scrollTop;
      lastHeight = lines.scrollHeight;
    }

    function trim() {
      let count = 0;
      for (const chunk of lines.children) count += Number(chunk.dataset.lines || 1);
      while (count > MOST_LINES && lines.children.length > 1) {
        count -= Number(lines.firstElementChild.dataset.lines || 1);
        lines.firstElementChild.remove();
      }
    }

    // Up is the reader's own movement, unless lines have gone: ours goes to the end alone, and new lines move nobody.
    lines.addEventListener("scroll", () => {
      if (lines.scrollTop < lastTop && lines.scrollHeight >= lastHeight) isFollowing = false;
      else if (isAtEnd()) isFollowing = true;
      remember();
      showFollow();
    }, { passive: true });
    // Heard before it scrolls: one more step of ours to the end would cut the wheel's movement short.
    lines.addEventListener("wheel", (event) => { if (event.deltaY < 0 && lines.scrollTop > 0) isFollowing = false; }, { passive: true });
    follow.addEventListener("click", () => { isFollowing = true; toEnd(); showFollow(); lines.focus(); });
    new ResizeObserver(plan).observe(lines);
    if (isFollowing) toEnd();
    if (!stream) return;

    function say(words) {
      connection.textContent = words;
      connection.hidden = !words;
    }

    new MutationObserver(plan).observe(lines, { childList: true });
    stream.addEventListener("htmx:after:sse:connection", () => say(""));
    function end(words) {
      hasEnded = true;
      say(words);
    }

    function explain(status) {
      if (REFUSED.includes(status)) end("You are signed out, or may not see this run any more. Reload the page to sign in.");
      else say("Connection lost, trying again…");
    }

    stream.addEventListener("htmx:sse:error", (event) => explain(event.detail.status));
    stream.addEventListener("htmx:before:sse:connection", (event) => { if (hasEnded) event.preventDefault(); });
    stream.addEventListener("done", () => end(""));
    // htmx begins a tick after its own script; an extension that comes later has missed the beginning.
    let hasAsked = false;
    stream.addEventListener("htmx:before:request", () => { hasAsked = true; });
    addEventListener("load", () => setTimeout(() => {
      const isAsking = stream._htmx?.sse || stream.classList.contains(htmx.config.requestClass);
      if (!hasAsked && !isAsking) htmx.process(stream, true);
    }));
    // The extension reconnects what was connected once; that first time is ours to repeat.
    stream.addEventListener("htmx:finally:request", (event) => {
      if (hasEnded || stream._htmx?.sse) return;
      explain(event.detail.ctx.response?.status);
      if (!hasEnded) setTimeout(() => htmx.trigger(stream, "connect"), RETRY);
    });
  }

  for (const panel of document.querySelectorAll("[data-log]")) setUp(panel);
})();
