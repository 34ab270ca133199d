// What has data-focus-after is gone when htmx has done what it asks for: the focus goes to the element with that id.
// Details with data-focus give it to the element with that id when they are opened.
(() => {
  let next = "";

  document.addEventListener("htmx:before:swap", () => {
    next = document.activeElement?.dataset.focusAfter ?? "";
  });

  document.addEventListener("htmx:after:swap", () => {
    const focused = document.activeElement;
    // What has just been hidden keeps the focus until the page is drawn, and then nothing has it.
    const isLost = focused === document.body || !focused.getClientRects().length;
    if (next && isLost) document.getElementById(next)?.focus({ preventScroll: true });
    next = "";
  });

  // Who opens it wants to write.
  document.addEventListener("toggle", ({ target }) => {
    if (target.matches("details[data-focus]") && target.open) document.getElementById(target.dataset.focus)?.focus();
  }, { capture: true });
})();
