// Says so when a part of the page could not be loaded, or is long in coming: htmx would leave it as it was, silently.
(() => {
  const SLOW = 2000; // milliseconds after which one wonders whether a press was heard
  const WAITING = "No answer yet: it was sent, and is waited for.";
  const place = document.querySelector("[data-trouble]");
  let waiting;
  // A stream goes on asking by itself, and the log says how it is.
  const isStream = (event) => event.target.closest?.("[hx-sse\\:connect]");

  const say = (event, what) => {
    if (!isStream(event)) place.textContent = `${what} What you see may be out of date.`;
  };

  document.addEventListener("htmx:before:request", ({ detail }) => {
    if (detail.ctx.request.method === "GET") return;
    clearTimeout(waiting);
    waiting = setTimeout(() => { place.textContent = WAITING; }, SLOW);
  });

  // Before what was pressed may be gone from the page, and its events with it.
  for (const answered of ["htmx:before:response", "htmx:error"]) {
    document.addEventListener(answered, ({ detail }) => {
      if (detail.ctx?.request.method === "GET") return;
      clearTimeout(waiting);
      if (place.textContent === WAITING) place.textContent = "";
    });
  }

  document.addEventListener("htmx:response:error", (event) => {
    const { status } = event.detail.ctx.response;
    // What is wrong with a form is said by the form.
    if (status !== 422) say(event, `The server could not do that: it answered ${status}. Reload the page to see why.`);
  });

  document.addEventListener("htmx:error", (event) => {
    // A newer request takes the place of the last, as when somebody types on.
    if (event.detail.error?.name === "AbortError") return;
    say(event, "The server cannot be reached. Try again in a moment.");
  });

  document.addEventListener("htmx:after:swap", (event) => {
    if (!isStream(event) && event.detail.ctx?.response?.status < 400) place.textContent = "";
  });

  addEventListener("online", () => { place.textContent = ""; });
})();
