// In a form with data-pick, two boxes can be ticked, no more; its button waits for the second.
(() => {
  const WORDS = ["Tick two runs to see where they differ.", "Tick one more.", "Two are ticked."];

  function show(form) {
    const boxes = [...form.querySelectorAll("input[type=checkbox]")];
    const count = boxes.filter((box) => box.checked).length;
    const bar = form.querySelector("[data-pick-bar]");
    if (!bar) return;
    for (const box of boxes) box.disabled = count === 2 && !box.checked;
    bar.toggleAttribute("data-picked", count > 0);
    bar.querySelector("button").disabled = count !== 2;
    bar.querySelector("[data-pick-words]").textContent = WORDS[Math.min(count, 2)];
  }

  const showAll = () => document.querySelectorAll("[data-pick]").forEach(show);

  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-pick]");
    if (form) show(form);
  });
  // The list is replaced, or comes back with the boxes that were ticked.
  document.addEventListener("htmx:after:swap", showAll);
  addEventListener("pageshow", showAll);
  showAll();
})();
