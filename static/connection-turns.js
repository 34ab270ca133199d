// Over HTTP/1.1 a browser opens six connections to a server, for all its windows together: if each kept one for its
// stream, the next page would never come. So those that were looked at last have a stream, and the others rest.
(() => {
  const MOST = 4;
  const stream = document.querySelector("[data-log-stream]");
  const connection = window.runbookweb?.connection;
  const isShared = /^h[23]/.test(performance.getEntriesByType("navigation")[0]?.nextHopProtocol);
  if (!stream || !connection || isShared) return;

  const channel = new BroadcastChannel("runbookweb.streams");
  const id = Math.random();
  const others = new Map(); // when each was looked at last, of those that have a stream
  let lookedAt = 0;

  const hasStream = () => lookedAt > 0 && !document.hidden && !connection.isOver;
  const tell = (kind) => channel.postMessage({ kind, id, lookedAt });

  function take() {
    if (document.hidden || connection.isOver) return;
    lookedAt = Date.now();
    tell("taken");
    stream.dispatchEvent(new CustomEvent("resume"));
  }

  function leave() {
    if (lookedAt) tell("left");
    lookedAt = 0;
  }

  channel.addEventListener("message", ({ data }) => {
    if (data.kind === "left") return others.delete(data.id);
    others.set(data.id, data.lookedAt);
    if (!hasStream()) return;
    if (data.kind === "taken") tell("held");
    if ([...others.values()].filter((at) => at > lookedAt).length < MOST) return;
    leave();
    stream.dispatchEvent(new CustomEvent("rest"));
  });

  document.addEventListener("visibilitychange", () => { document.hidden ? leave() : take(); });
  document.addEventListener("connection", () => { if (connection.isOver) leave(); });
  for (const sign of ["focus", "pointerdown", "keydown", "pageshow"]) addEventListener(sign, take);
  addEventListener("pagehide", leave);
  take();
})();
