// The API's description as a page to read and to try: Swagger UI on the element with data-description.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  const element = document.querySelector("[data-description]");
  SwaggerUIBundle({
    domNode: element,
    url: element.dataset.description,
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null, // it would show the description to another host
  });
})();
