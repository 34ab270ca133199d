// Hands what the stream brings to the log, before htmx would put it at the end of whatever the page holds.
(() => {
  const log = window.runbookweb?.log;
  const stream = log?.panel.querySelector("[data-log-stream]");
  if (!stream) return;

  // What a script prints is escaped in the message, so that only the server itself can have written this.
  const CHANGED = /<hx-partial hx-target="#L(\d+)"[^>]*>(.*?)<\/hx-partial>/gs;

  // Messages that have come already are swapped in one after the other without a pause, however long that takes:
  // a swap that waits lets the reader scroll and press meanwhile.
  const BUSY = 20; // milliseconds
  let begun = 0;

  function pause() {
    if (!begun) setTimeout(() => { begun = 0; });
    begun ||= performance.now();
    return performance.now() - begun < BUSY ? 0 : 1;
  }

  stream.addEventListener("htmx:before:swap", ({ detail: { tasks } }) => {
    const task = tasks.find((task) => task.type === "main");
    if (!task) return;
    for (const chunk of task.fragment.querySelectorAll(".log__chunk")) log.take(chunk);
    task.fragment.replaceChildren();
    task.swapSpec = { ...task.swapSpec, swap: pause() };
  });

  stream.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    for (const [, number, html] of ctx.text.matchAll(CHANGED)) log.replaced(Number(number), html);
  });

  // htmx begins a tick after its own script; an extension that comes later has missed the beginning.
  let hasAsked = false;
  stream.addEventListener("htmx:before:request", () => { hasAsked = true; });
  addEventListener("load", () => setTimeout(() => {
    const isAsking = stream._htmx?.sse || stream.classList.contains(htmx.config.requestClass);
    if (!hasAsked && !isAsking) htmx.process(stream, true);
  }));
})();
