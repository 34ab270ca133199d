// What the reader has chosen for every log, applied before its first line is painted: nothing jumps afterwards.
(() => {
  const panel = document.currentScript.closest("[data-log]");
  panel.dataset.isScripted = "";
  if (matchMedia("(max-width: 40rem)").matches) panel.dataset.times = "none";
  // The numbers' column is as wide as the last one needs it.
  panel.style.setProperty("--log-digits", `${Math.max(4, panel.dataset.tail.length)}ch`);
  try {
    const { times, wrap } = JSON.parse(localStorage.getItem("runbookweb.log") ?? "{}");
    if (["absolute", "relative", "none"].includes(times)) panel.dataset.times = times;
    if (wrap === false) panel.dataset.wrap = "false";
  } catch {
    // Whoever keeps no storage, or has something else in its place, sees the log as it is by default.
  }
})();
