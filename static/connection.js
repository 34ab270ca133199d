// Says in one place how it stands with the stream, opens it anew when nothing comes any more, and counts until then.
(() => {
  const stream = document.querySelector("[data-log-stream]");
  const place = document.querySelector("[data-connection]");
  if (!stream || !place) return;

  const QUIET = 10_000; // milliseconds after which "no output" is worth a word
  const DEAD = 25_000; // the server says something every 10 s, if only ping
  const SLOWEST = 5000;
  const said = place.querySelector("[data-connection-said]"); // a live region: changes of state alone
  const counted = place.querySelector("[data-connection-counted]");
  const words = { connecting: "connecting", live: "live", lost: "connection lost", silent: "the server does not answer" };
  let state = "connecting";
  const doctor = place.querySelector("[data-connection-doctor]"); // for who loses it again and again
  let losses = 0;
  let failures = 0;
  let heardAt = Date.now();
  let outputAt = Date.now();
  let nextAt = 0;
  let lastId = "";

  const seconds = (milliseconds) => {
    const count = Math.max(0, Math.round(milliseconds / 1000));
    return count < 120 ? `${count} s` : `${Math.floor(count / 60)} min`;
  };
  const isOver = () => ["ended", "signed-out", "refused"].includes(state);

  function count() {
    const now = Date.now();
    if (state === "live") counted.textContent = now - outputAt < QUIET ? "" : ` · no output for ${seconds(now - outputAt)}`;
    else if (isOver() || state === "connecting") counted.textContent = "";
    else counted.textContent = nextAt > now ? `, next try in ${seconds(nextAt - now)}` : ", trying now";
    place.dataset.isQuiet = state === "live" && now - outputAt >= QUIET;
  }

  function be(next, text = words[next]) {
    if (next === "lost" && state === "live") doctor.hidden = ++losses < 2;
    state = next;
    place.dataset.connection = next;
    if (said.textContent !== text) said.textContent = text;
    count();
  }

  function link(address, text) {
    const link = document.createElement("a");
    Object.assign(link, { href: address, textContent: text, className: "connection__link" });
    said.append(" ", link);
  }

  function refuse(status) {
    const here = location.pathname + location.search + location.hash;
    if (status === 401) {
      be("signed-out", "signed out:");
      link(`/login/?next=${encodeURIComponent(here)}`, "sign in and come back here");
    } else {
      be("refused", "you may not see this run any more:");
      link("", "reload the page");
    }
  }

  function fail(status) {
    if (isOver()) return;
    if ([401, 403, 404].includes(status)) return refuse(status);
    failures += 1;
    be(failures < 3 ? "lost" : "silent");
  }

  // Ours to choose, so that it can be counted; scattered, or all who watch would come back at the same moment.
  function delay() {
    const chosen = Math.min(SLOWEST, 500 * 2 ** Math.min(failures, 4)) * (0.7 + 0.6 * Math.random());
    nextAt = Date.now() + chosen;
    return chosen;
  }

  function hear(message) {
    heardAt = Date.now();
    if (message.id) lastId = message.id;
    if (message.data.includes("log__line")) outputAt = heardAt;
    if (state !== "live" && !isOver()) be("live");
  }

  // Half-open, as after a sleep or behind a box that forgets: nothing would ever come, and no error either.
  function watch() {
    count();
    const connection = stream._htmx?.sse;
    if (!connection || isOver() || document.hidden || Date.now() - heardAt < DEAD) return;
    heardAt = Date.now();
    fail();
    if (connection.reader) connection.reader.cancel();
    else connection.abortController?.abort();
  }

  stream.addEventListener("htmx:config:request", ({ detail }) => {
    if (lastId) detail.ctx.request.headers["Last-Event-ID"] = lastId;
  });
  stream.addEventListener("htmx:before:sse:connection", (event) => {
    if (isOver()) return event.preventDefault();
    const { connection } = event.detail;
    if (!connection.attempt || document.hidden) return;
    nextAt = Math.max(nextAt, Date.now() + connection.config.reconnectDelay);
    if (state === "live") be("lost");
  });
  stream.addEventListener("htmx:after:sse:connection", ({ detail: { connection } }) => {
    failures = 0;
    heardAt = outputAt = Date.now();
    be("live");
    connection.config.reconnectJitter = 0;
    connection.config.reconnectDelay = connection.config.reconnectMaxDelay = delay();
  });
  stream.addEventListener("htmx:sse:error", ({ detail }) => {
    fail(detail.status);
    const config = stream._htmx?.sse?.config;
    if (config) config.reconnectDelay = config.reconnectMaxDelay = delay();
    count();
  });
  stream.addEventListener("htmx:before:sse:message", ({ detail }) => hear(detail.message));
  stream.addEventListener("done", ({ detail }) => {
    be("ended", `ended: ${detail.data.replace("_", " ")}`);
    // The extension would abort what it has read to the end, and leave an error that nobody has made.
    stream._htmx.sse.abortController = null;
  });
  // The extension reconnects what was connected once; that first time, and what was given up, is ours to repeat.
  stream.addEventListener("htmx:finally:request", ({ detail }) => {
    if (stream._htmx?.sse) return;
    fail(detail.ctx.response?.status);
    if (!isOver()) setTimeout(() => htmx.trigger(stream, "connect"), delay());
    count();
  });
  stream.addEventListener("htmx:sse:close", ({ detail }) => {
    if (detail.reason !== "message" && !isOver()) setTimeout(() => htmx.trigger(stream, "connect"), delay());
  });
  document.addEventListener("visibilitychange", () => { heardAt = Date.now(); });
  addEventListener("online", () => stream._htmx?.sse?.delayCanceller?.());
  setInterval(watch, 1000);
  be("connecting");
})();
