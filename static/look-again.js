// An element with data-look-again is asked for anew by htmx every few seconds, but not while nobody sees the page.
(() => {
  const looks = (element) => element.matches?.("[data-look-again]");

  document.addEventListener("htmx:before:request", (event) => {
    if (document.hidden && looks(event.target)) event.preventDefault();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-look-again]")) htmx.trigger(element, "look");
  });
})();
