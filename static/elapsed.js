// Keeps counting in each element with data-elapsed-seconds, from what the server counted: clocks may differ.
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
  return parts.slice(0, 2).filter((part) => !part.startsWith("0 ")).join(" ");
};

const tick = () => {
  for (const element of document.querySelectorAll("[data-elapsed-seconds]")) {
    if (!starts.has(element)) starts.set(element, Date.now() - 1000 * Number(element.dataset.elapsedSeconds));
    element.textContent = words((Date.now() - starts.get(element)) / 1000) || "0 s";
  }
};

tick();
setInterval(tick, 1000);
