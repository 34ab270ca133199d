// A button with data-copy="#id" copies that element's text; it shows and says "Copied", and is there with scripts alone.
// Others copy with runbookweb.copy(text), which tells whether it could; the text may be a promise.
(() => {
  const SHOWN = 2000;
  const said = document.createElement("p");
  said.className = "visually-hidden";
  said.setAttribute("role", "status");

  const show = () => {
    document.body.append(said);
    for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  };

  // Over plain http, browsers give no page but one of this machine the clipboard.
  function copyOldWay(text) {
    const field = document.createElement("textarea");
    field.value = text;
    field.readOnly = true;
    field.className = "visually-hidden";
    field.style.position = "fixed"; // or the page would jump to it
    document.body.append(field);
    field.select();
    try {
      return document.execCommand("copy");
    } finally {
      field.remove();
    }
  }

  // A promise is handed on as it is: after waiting for the server, the press of the button would not count any more.
  async function copy(text) {
    const blob = async () => new Blob([await text], { type: "text/plain" });
    try {
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob() })]);
      return true;
    } catch {
      return copyOldWay(await text);
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    const source = button && document.querySelector(button.dataset.copy);
    if (!source) return;
    const isCopied = await copy(source.textContent);
    button.focus({ preventScroll: true });
    if (!isCopied) getSelection().selectAllChildren(source);
    const told = isCopied ? "Copied" : "Selected: press Ctrl+C";
    const word = button.querySelector("[data-copy-word]");
    const before = word && (word.dataset.copyBefore ??= word.textContent);
    said.textContent = told;
    if (word) word.textContent = told;
    setTimeout(() => {
      said.textContent = "";
      if (word) word.textContent = before;
    }, SHOWN);
  });

  document.addEventListener("htmx:after:swap", show);
  window.runbookweb = { ...window.runbookweb, copy };
  show();
})();
