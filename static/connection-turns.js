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
  let isHolding = false;

  const hasStream = () => isHolding && !document.hidden && !connection.isOver;
  const tell = (kind) => channel.postMessage({ kind, id, lookedAt });

  function take(at = Date.now()) {
    if (document.hidden || connection.isOver) return;
    lookedAt = at;
    isHolding = true;
    tell("taken");
    stream.dispatchEvent(new CustomEvent("resume"));
  }

  function leave() {
    if (isHolding) tell("left");
    isHolding = false;
  }

  channel.addEventListener("message", ({ data }) => {
    if (data.kind === "asked") return hasStream() && tell("held");
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
  for (const sign of ["focus", "pointerdown", "keydown", "pageshow"]) addEventListener(sign, () => take());
  addEventListener("pagehide", leave);
  take();

  // Others may be gone without a word, as after a crash: whoever rests asks who is left, and takes a free place.
  setInterval(() => {
    if (document.hidden || connection.state !== "resting") return;
    others.clear();
    tell("asked");
    setTimeout(() => { if (connection.state === "resting" && others.size < MOST) take(lookedAt); }, 500);
  }, 5000);
})();
