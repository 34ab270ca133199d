// What was typed into a search before its scripts had come is searched for when they have: nobody had heard it.
addEventListener("load", () => {
  for (const field of document.querySelectorAll("input[type='search'][hx-get]")) {
    if (field.value !== field.defaultValue) htmx.trigger(field, "search");
  }
});
