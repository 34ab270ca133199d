// Shows each line's time on the reader's clock or since the run's start: what is near the screen, as it comes near.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const { panel, scroller } = log;
  const two = (number) => String(number).padStart(2, "0");
  const three = (number) => String(number).padStart(3, "0");
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  const absolute = (at) => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${three(at.getMilliseconds())}`;

  function relative(at) {
    const passed = Math.max(0, at - start());
    const [hours, minutes, seconds] = [Math.floor(passed / 3600000), Math.floor(passed / 60000) % 60, Math.floor(passed / 1000) % 60];
    return `+${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds)}.${three(passed % 1000)}`;
  }

  // A page that was opened before the run began has its start in the first line.
  function start() {
    panel.dataset.started ||= log.row(1)?.querySelector("time").dateTime ?? "";
    return panel.dataset.started ? new Date(panel.dataset.started) : new Date();
  }

  function convert(part) {
    const { times } = panel.dataset;
    if (times === "none" || part.dataset.times === times) return;
    part.dataset.times = times;
    const words = times === "relative" ? relative : absolute;
    for (const time of part.querySelectorAll(".log__time[datetime]")) time.textContent = words(new Date(time.dateTime));
  }

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) convert(target);
  }, { root: scroller, rootMargin: "1000px 0px" });

  function arrived(parts) {
    for (const part of parts) {
      // A few lines at once are shown rightly at once; a flood waits for whoever comes near.
      if (part.childElementCount < 50) convert(part);
      else seen.observe(part);
    }
  }

  panel.addEventListener("log:lines", ({ detail }) => arrived(detail.parts));
  panel.addEventListener("log:view", () => {
    seen.disconnect();
    for (const chunk of log.chunks) seen.observe(chunk);
  });
  addEventListener("beforeprint", () => log.chunks.forEach(convert)); // on paper nothing comes near the screen
  // The exact time is put on the line that one points at, not on thousands.
  scroller.addEventListener("pointerover", ({ target }) => {
    if (!target.matches(".log__time[datetime]") || target.title) return;
    target.title = `${zone.format(new Date(target.dateTime))}\n${target.dateTime.replace("T", " ").replace("Z", " UTC")}`;
  });
  for (const chunk of log.chunks) seen.observe(chunk);
})();
