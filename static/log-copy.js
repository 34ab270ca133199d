// Copies the chosen lines as the script printed them, or the link to them, and says that it did.
(() => {
  const bar = document.querySelector("[data-log-selection]");
  if (!bar) return;

  const said = bar.querySelector("[data-log-copied]");

  async function fetched(address) {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.text();
  }

  async function copy(button, text, words) {
    const isCopied = await window.runbookweb.copy(text).catch(() => false);
    said.textContent = isCopied ? words : "It could not be copied: try again";
    button.focus({ preventScroll: true });
  }

  bar.querySelector("[data-log-copy]").addEventListener("click", ({ currentTarget: button }) => {
    copy(button, fetched(button.dataset.address), "Lines copied");
  });
  bar.querySelector("[data-log-link]").addEventListener("click", ({ currentTarget: button }) => {
    copy(button, location.href, "Link copied");
  });
  new MutationObserver(() => { said.textContent = ""; }).observe(bar.querySelector("[data-log-range]"), { childList: true });
})();
