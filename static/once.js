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
addEventListener("pageshow", (event) => {
  for (const form of document.querySelectorAll("[data-once]")) {
    form.dataset.once = "";
    // Who comes back to Execute wants another run: under the old key it would be the last one's page again.
    if (event.persisted) for (const key of form.querySelectorAll("[data-once-key]")) key.value = "";
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
  }
});
