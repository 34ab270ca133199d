// A run's end is final: an answer that the stream has overtaken on its way must not put an older state in its place.
(() => {
  const isActive = (part) => part?.querySelector("#run-state")?.dataset.active === "true";
  const isOver = () => document.getElementById("run-state")?.dataset.active === "false";

  document.addEventListener("htmx:before:swap", ({ detail: { tasks = [] } }) => {
    if (!isOver()) return;
    for (let at = tasks.length - 1; at >= 0; at -= 1) if (isActive(tasks[at].fragment)) tasks.splice(at, 1);
  });
})();
