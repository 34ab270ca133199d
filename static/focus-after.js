// A link with data-focus-after is gone when htmx has done what it asks for: the focus goes to the element with that id.
(() => {
  let next = "";

  document.addEventListener("htmx:before:swap", () => {
    next = document.activeElement?.dataset.focusAfter ?? "";
  });

  document.addEventListener("htmx:after:swap", () => {
    if (next && document.activeElement === document.body) document.getElementById(next)?.focus({ preventScroll: true });
    next = "";
  });
})();
