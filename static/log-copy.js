// Copies the chosen lines as the script printed them, or the link to them, and says that it did.
(() => {
  const bar = document.querySelector("[data-log-selection]");
  if (!bar) return;

  const said = bar.querySelector("[data-log-copied]");

  async function fetched(address) {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return new Blob([await response.text()], { type: "text/plain" });
  }

  // The clipboard takes a promise: after waiting for the server, the press of the button would not count any more.
  const write = (text) => navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);

  async function copy(text, words) {
    try {
      await write(text);
      said.textContent = words;
    } catch {
      said.textContent = window.isSecureContext ? "It could not be copied: try again" : "Browsers copy only on pages with https";
    }
  }

  bar.querySelector("[data-log-copy]").addEventListener("click", ({ currentTarget }) => {
    copy(fetched(currentTarget.dataset.address), "Lines copied");
  });
  bar.querySelector("[data-log-link]").addEventListener("click", () => {
    copy(new Blob([location.href], { type: "text/plain" }), "Link copied");
  });
  new MutationObserver(() => { said.textContent = ""; }).observe(bar.querySelector("[data-log-range]"), { childList: true });
})();
