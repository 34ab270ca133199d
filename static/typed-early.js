// What was typed into a search before htmx had begun is searched for then: nobody has heard it.
(() => {
  const search = (field) => {
    if (field.type === "search" && field.value !== field.defaultValue) htmx.trigger(field, "search");
  };

  document.addEventListener("htmx:after:init", ({ target }) => search(target));
  // htmx may have begun before this script.
  for (const field of document.querySelectorAll("input[data-htmx-powered]")) search(field);
})();
