// A form with data-once is sent once: a second press of Execute would start a second run.
(() => {
  const PATIENCE = 8000; // milliseconds: the browser's own Stop tells no page, and under its key a form starts one run
  const SENT = "runbookweb.sent"; // what this tab has sent, until the page of a run shows that an answer has come

  const buttons = (form) => form.querySelectorAll("button");

  function release(form) {
    form.dataset.once = "";
    for (const button of buttons(form)) button.removeAttribute("aria-disabled");
  }

  function remember(form) {
    try {
      if (form) sessionStorage.setItem(SENT, form.action);
      else sessionStorage.removeItem(SENT);
    } catch {
      // Without a storage, who comes back after a lost answer is told of the run by the page when it is loaded anew.
    }
  }

  function isUnanswered(form) {
    try {
      return sessionStorage.getItem(SENT) === form.action;
    } catch {
      return false;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.once === "sent") return event.preventDefault();
    form.dataset.once = "sent";
    for (const button of buttons(form)) button.setAttribute("aria-disabled", "true");
    remember(form);
    setTimeout(release, PATIENCE, form);
  });

  // The browser may show the page again as it was left.
  addEventListener("pageshow", ({ persisted }) => {
    for (const form of document.querySelectorAll("[data-once]")) {
      release(form);
      // Who comes back to Execute wants another run: under the old key it would be the last one's page again. That is
      // what they want if no answer came.
      if (!persisted || isUnanswered(form)) continue;
      for (const key of form.querySelectorAll("[data-once-key]")) key.value = "";
    }
    if (document.getElementById("run-state")) remember(null);
  });
})();
