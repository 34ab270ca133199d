// A form with data-once is sent once: a second press of Execute would start a second run.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.once === "sent") {
    event.preventDefault();
    return;
  }
  form.dataset.once = "sent";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
});

// The browser may show the page again as it was left.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-once]")) {
    form.dataset.once = "";
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
  }
});
