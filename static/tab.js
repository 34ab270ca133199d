// Shows the run's state in the tab: a mark before the title, and an icon; in a hidden tab by asking now and then.
(() => {
  const tab = document.querySelector("[data-tab]");
  if (!tab) return;

  const EVERY = 10_000; // milliseconds; a hidden tab has no stream
  const MARKS = {
    queued: "⏸", running: "▶", succeeded: "✓", failed: "✗", timed_out: "⧗", cancelled: "■", lost: "?", refused: "⊘",
  };
  const title = document.title;
  const icon = document.querySelector("link[rel=icon]");
  let shown = "";

  function show(state) {
    if (!state || state.dataset.state === shown || !MARKS[state.dataset.state]) return;
    const before = shown;
    shown = state.dataset.state;
    document.title = `${MARKS[shown]} ${title}`;
    icon.href = tab.dataset[`icon${shown[0].toUpperCase()}${shown.slice(1)}`] ?? tab.dataset.iconOther;
    if (!before || state.dataset.active !== "false") return;
    document.dispatchEvent(new CustomEvent("run:end", { detail: { state: shown, title } }));
  }

  const isActive = () => ["queued", "running"].includes(shown);
  const look = () => show(document.getElementById("run-state"));

  async function ask() {
    if (!document.hidden || !isActive()) return;
    const response = await fetch(tab.dataset.tab).catch(() => null);
    if (!response?.ok) return;
    show(new DOMParser().parseFromString(await response.text(), "text/html").getElementById("run-state"));
  }

  // The stream puts another state in its place, or changes what it says; the log's own lines are none of our concern.
  new MutationObserver(look).observe(document.getElementById("run-state").parentElement, {
    childList: true, subtree: true, attributeFilter: ["data-state"],
  });
  look();
  if (isActive()) setInterval(ask, EVERY);
})();
