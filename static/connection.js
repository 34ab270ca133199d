// Keeps the stream open: opens it anew where the extension does not, and when nothing comes any more.
(() => {
  const stream = document.querySelector("[data-log-stream]");
  const connection = window.runbookweb?.connection;
  if (!stream || !connection) return;

  const DEAD = 14_000; // milliseconds: the server says something every 5 s, if only ping
  const SLOWEST = 5000;
  let failures = 0;
  let lastId = "";
  let first = null; // the request of a new stream: later ones are the extension's own
  let isResting = document.hidden; // has no stream on purpose: the extension rests only what it has once begun

  function fail(status) {
    if (connection.isOver) return;
    if ([401, 403, 404].includes(status)) return connection.refuse(status);
    failures += 1;
    connection.be(failures < 3 ? "lost" : "silent");
  }

  // Ours to choose, so that it can be counted; scattered, or all who watch would come back at the same moment.
  function delay() {
    const chosen = Math.min(SLOWEST, 500 * 2 ** Math.min(failures, 4)) * (0.7 + 0.6 * Math.random());
    connection.nextAt = Date.now() + chosen;
    return chosen;
  }

  function hear(message) {
    connection.heardAt = Date.now();
    if (message.id) lastId = message.id;
    if (message.data.includes("log__line")) connection.outputAt = connection.heardAt;
    if (connection.state !== "live" && !connection.isOver) connection.be("live");
  }

  function begin() {
    if (!first && !isResting) window.htmx?.trigger(stream, "connect");
  }

  function rest() {
    isResting = true;
    connection.be("resting");
    stream._htmx?.sse?.reader?.cancel();
  }

  function resume() {
    if (!isResting || connection.isOver) return;
    connection.heardAt = connection.outputAt = Date.now(); // what came meanwhile, nobody has counted
    isResting = false;
    connection.be("connecting");
    htmx.trigger(stream, "connect");
  }

  // Half-open, as after a sleep or behind a box that forgets: nothing would ever come, and no error either.
  function watch() {
    connection.count();
    const source = stream._htmx?.sse;
    const isHanging = connection.state === "connecting" && Date.now() - connection.beganAt > DEAD;
    if (!source && isHanging) return first?.abort();
    if (!source || isResting || connection.isOver || document.hidden || Date.now() - connection.heardAt < DEAD) return;
    connection.heardAt = Date.now();
    fail();
    if (source.reader) source.reader.cancel();
    else source.abortController?.abort();
  }

  function again() {
    if (!connection.isOver && !isResting) setTimeout(() => htmx.trigger(stream, "connect"), delay());
  }

  stream.addEventListener("htmx:config:request", ({ detail }) => {
    if (lastId) detail.ctx.request.headers["Last-Event-ID"] = lastId;
  });
  stream.addEventListener("htmx:before:request", (event) => {
    first = event.detail.ctx.request;
    if (isResting) event.preventDefault();
  });
  stream.addEventListener("htmx:before:sse:connection", (event) => {
    if (connection.isOver || (isResting && event.detail.connection.attempt)) return event.preventDefault();
    const { attempt, config } = event.detail.connection;
    if (!attempt || document.hidden) return;
    connection.nextAt = Math.max(connection.nextAt, Date.now() + config.reconnectDelay);
    if (connection.state === "live") connection.be("lost");
  });
  stream.addEventListener("htmx:after:sse:connection", ({ detail: { connection: { config } } }) => {
    failures = 0;
    connection.heardAt = Date.now();
    if (isResting) return setTimeout(rest); // told to while it was being opened: it has something to cancel then
    connection.be("live");
    config.reconnectJitter = 0;
    config.reconnectDelay = config.reconnectMaxDelay = delay();
  });
  stream.addEventListener("htmx:sse:error", ({ detail }) => {
    fail(detail.status);
    const config = stream._htmx?.sse?.config;
    if (config) config.reconnectDelay = config.reconnectMaxDelay = delay();
    connection.count();
  });
  stream.addEventListener("htmx:before:sse:message", ({ detail }) => hear(detail.message));
  stream.addEventListener("done", ({ detail }) => {
    connection.be("ended", `ended: ${detail.data.replace("_", " ")}`);
    // The extension would abort what it has read to the end, and leave an error that nobody has made.
    stream._htmx.sse.abortController = null;
  });
  // The extension reconnects what was connected once; that first time, and what was given up, is ours to repeat.
  stream.addEventListener("htmx:finally:request", ({ detail }) => {
    if (stream._htmx?.sse || isResting) return;
    fail(detail.ctx.response?.status);
    again();
    connection.count();
  });
  stream.addEventListener("htmx:sse:close", ({ detail }) => { if (detail.reason !== "message") again(); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    connection.heardAt = Date.now();
    resume();
  });
  stream.addEventListener("rest", rest); // connection-turns.js knows when
  stream.addEventListener("resume", resume);
  setInterval(watch, 1000);
  addEventListener("online", () => stream._htmx?.sse?.delayCanceller?.());
  connection.be(isResting ? "resting" : "connecting");
  // What came before the other scripts were there, htmx would put anywhere; and it may begin before them or after.
  begin();
  document.addEventListener("htmx:after:process", begin, { once: true });
})();
