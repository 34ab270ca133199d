// Shows each <time data-moment> as on the viewer's own clock, and tells the server their zone for the next page.
(() => {
  const two = (number) => String(number).padStart(2, "0");

  const offset = (minutes) => {
    if (!minutes) return "UTC";
    const rest = Math.abs(minutes) % 60;
    const hours = Math.floor(Math.abs(minutes) / 60);
    return `UTC${minutes > 0 ? "+" : "\u2212"}${hours}${rest ? `:${two(rest)}` : ""}`;
  };

  // Word for word what the server writes, or the text would jump at each replacement.
  const words = (at) => [
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
      `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
    offset(-at.getTimezoneOffset()),
  ];

  const show = (part) => {
    for (const time of part.querySelectorAll("time[data-moment]")) {
      const [moment, zone] = words(new Date(time.dateTime));
      if (time.textContent === `${moment} ${zone}`) continue;
      time.firstChild.data = `${moment} `;
      time.lastElementChild.textContent = zone;
    }
  };

  // For the next page, and for a year.
  const keep = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  };

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  keep("runbookweb_zone", zone);
  window.runbookweb = { ...window.runbookweb, keep };
  show(document);
  // What a stream brings is the same for all who watch, and in UTC.
  document.addEventListener("htmx:before:swap", (event) => {
    for (const { fragment } of event.detail.tasks ?? []) if (fragment) show(fragment);
  });
})();
