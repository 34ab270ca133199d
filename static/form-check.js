// A field with data-check asks the server for its message when it is left, and sooner when it is being put right.
const invalid = "[aria-invalid='true']";

document.addEventListener("htmx:config:request", (event) => {
  const { sourceElement: field, request } = event.detail.ctx;
  if (!field.matches("[data-check]")) return;
  // A message would move Execute away from under the pointer that presses it; all is about to be sent anyway.
  if (field.closest("form").querySelector("button:active")) {
    event.preventDefault();
    return;
  }
  // Nothing else leaves the page before it is executed, least of all a secret or a file.
  const wanted = [field.dataset.check, "runbookweb.field", "csrfmiddlewaretoken"];
  for (const name of [...request.body.keys()]) if (!wanted.includes(name)) request.body.delete(name);
});

// The message is there, or has gone; the field itself stays as it is, with its focus and what was typed.
document.addEventListener("htmx:finally:request", (event) => {
  const field = event.detail.ctx.sourceElement;
  if (!field.matches("[data-check]")) return;
  const isWrong = field.querySelector(".field__error") !== null;
  for (const control of field.querySelectorAll("[aria-describedby]:not([role='group'])")) {
    if (isWrong) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
});

document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-check]");
  if (field?.querySelector(invalid)) field.dispatchEvent(new CustomEvent("correct"));
});
