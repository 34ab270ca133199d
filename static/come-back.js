// The sign-in leads back to the very line: what follows the # in an address reaches no server, only this page.
(() => {
  const place = location.hash;
  if (!place) return;

  for (const field of document.querySelectorAll("[data-come-back] [name=next]")) {
    if (!field.value.includes("#")) field.value += place;
  }
  for (const link of document.querySelectorAll("a[data-come-back]")) {
    const address = new URL(link.href);
    const next = address.searchParams.get("next") ?? "";
    if (next && !next.includes("#")) address.searchParams.set("next", next + place);
    link.href = address.href;
  }
})();
