// A field with data-given-again asks for what was given in vain; once that is there again, it does not ask any more.
for (const asking of document.querySelectorAll("[data-given-again]")) {
  const named = (control) => control.name === asking.dataset.givenAgain;
  const isGiven = ({ type, checked, value }) => (type === "checkbox" ? checked : value !== "");
  // At once and not when the field is left: Execute would move away from under the pointer that presses it.
  asking.closest("form").addEventListener("input", (event) => {
    if (named(event.target)) asking.hidden = isGiven(event.target);
  });
}
