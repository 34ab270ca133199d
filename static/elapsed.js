// Keeps counting where the server began: in each element with data-elapsed-seconds, from that many, for clocks differ.
// With data-elapsed-of it counts down from there; with -from or -to it counts nothing, and is shown from or until then.
(() => {
  const starts = new WeakMap();

  const words = (seconds) => {
    const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
    const parts = [];
    let rest = Math.floor(seconds);
    for (const [unit, size] of units) {
      const count = Math.floor(rest / size);
      rest %= size;
      if (count || parts.length) parts.push(`${count} ${unit}`);
    }
    return parts.slice(0, 2).filter((part) => !part.startsWith("0 ")).join(" ") || "0 s";
  };

  // The server may say something newer of the same element.
  const elapsed = (element) => {
    const said = element.dataset.elapsedSeconds;
    let start = starts.get(element);
    if (start?.said !== said) starts.set(element, start = { said, at: Date.now() - 1000 * Number(said) });
    return (Date.now() - start.at) / 1000;
  };

  const show = (element) => {
    const { elapsedFrom: from, elapsedTo: to, elapsedOf: of } = element.dataset;
    const seconds = elapsed(element);
    if (from || to) element.hidden = seconds < Number(from || 0) || seconds >= Number(to || Infinity);
    else if (element.matches("progress")) element.value = seconds;
    else element.textContent = words(of ? Math.max(0, Math.ceil(Number(of) - seconds)) : seconds);
  };

  const tick = () => document.querySelectorAll("[data-elapsed-seconds]").forEach(show);

  tick();
  setInterval(tick, 1000);
  document.addEventListener("htmx:after:swap", tick);
})();
