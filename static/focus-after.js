// What has data-focus-after is gone when htmx has done what it asks for: the focus goes to the element with that id.
(() => {
  let next = "";

  document.addEventListener("htmx:before:swap", () => {
    next = document.activeElement?.dataset.focusAfter ?? "";
  });

  document.addEventListener("htmx:after:swap", () => {
    const focused = document.activeElement;
    // What has just been hidden keeps the focus until the page is drawn, and then nothing has it.
    const isLost = focused === document.body || !focused.checkVisibility();
    if (next && isLost) document.getElementById(next)?.focus({ preventScroll: true });
    next = "";
  });
})();
