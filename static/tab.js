// Shows the run's state in the tab: a mark before the title, and an icon; in a hidden tab by asking now and then.
(() => {
  const tab = document.querySelector("[data-tab]");
  if (!tab) return;

  const EVERY = 10_000; // milliseconds; a hidden tab has no stream, nor has one that rests
  const MARKS = {
    queued: "⏸", running: "▶", succeeded: "✓", failed: "✗", timed_out: "⧗", cancelled: "■", lost: "?", refused: "⊘",
  };
  const title = document.title;
  const icon = document.querySelector("link[rel=icon]");
  let shown = "";
  let isCutOff = false;
  let isResting = false;

  const isActive = () => ["queued", "running"].includes(shown);
  const stage = (state) => ({ "": 0, queued: 1, running: 2 })[state] ?? 3; // the last: an end is final

  // A run never goes back: what the page says of it is older than the answer, for in a hidden tab the stream rests.
  function show(state) {
    const next = state?.dataset.state;
    if (!MARKS[next] || stage(next) <= stage(shown)) return;
    const before = shown;
    shown = next;
    paint();
    if (!before || state.dataset.active !== "false") return;
    document.dispatchEvent(new CustomEvent("run:end", { detail: { state: shown, title } }));
  }

  // Without a connection nobody knows whether it runs on; an end stays an end.
  function paint() {
    const isUnknown = isCutOff && isActive();
    const own = tab.dataset[`icon${shown[0].toUpperCase()}${shown.slice(1)}`];
    document.title = `${isUnknown ? "⚠" : MARKS[shown]} ${title}`;
    icon.href = (!isUnknown && own) || tab.dataset.iconOther;
  }

  function cutOff(state) {
    isResting = state === "resting";
    isCutOff = ["lost", "silent", "signed-out", "refused"].includes(state);
    if (shown) paint();
  }

  const look = () => show(document.getElementById("run-state"));

  async function ask() {
    if (!(document.hidden || isResting) || !isActive()) return;
    const response = await fetch(tab.dataset.tab).catch(() => null);
    if (!response?.ok) return;
    show(new DOMParser().parseFromString(await response.text(), "text/html").getElementById("run-state"));
  }

  // The stream puts another state in its place, or changes what it says; the log's own lines are none of our concern.
  new MutationObserver(look).observe(document.getElementById("run-state").parentElement, {
    childList: true, subtree: true, attributeFilter: ["data-state"],
  });
  document.addEventListener("connection", ({ detail }) => cutOff(detail.state));
  look();
  if (isActive()) setInterval(ask, EVERY);
})();
