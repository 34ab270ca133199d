// A notification when a run that took long has ended and nobody looks: for who has asked for it, by the button alone.
(() => {
  const button = document.querySelector("[data-notify]");
  if (!button || !window.Notification || !window.isSecureContext) return;

  const LONG = 30_000; // milliseconds of watching
  const since = Date.now();
  const isWanted = () => button.getAttribute("aria-pressed") === "true";
  const words = (state) => state.replace("_", " ");

  function want(wanted) {
    button.setAttribute("aria-pressed", wanted);
    button.title = wanted ? "You are notified when this run ends, if you look elsewhere" : "Notify me when this run ends";
    try {
      localStorage.setItem("runbookweb.notify", wanted);
    } catch {
      // Without a storage it holds for this page.
    }
  }

  button.addEventListener("click", async () => {
    if (isWanted()) return want(false);
    const answer = await Notification.requestPermission();
    want(answer === "granted");
    if (answer === "denied") button.title = "Your browser does not let this page notify you: allow it in the page's settings";
  });

  document.addEventListener("run:end", ({ detail: { state, title } }) => {
    button.hidden = true;
    if (!isWanted() || !document.hidden || Date.now() - since < LONG) return;
    const icon = document.querySelector("link[rel=icon]").href;
    const notification = new Notification(`${words(state)}: ${title}`, { icon, tag: location.pathname });
    notification.addEventListener("click", () => { focus(); notification.close(); });
  });

  button.hidden = false;
  want(localStorage.getItem("runbookweb.notify") === "true" && Notification.permission === "granted");
})();
