// A file with data-largest is looked at before it is sent: one that is empty or too large would cost a long wait.
const files = () => [...document.querySelectorAll("input[type='file'][data-largest]")];

function problem(input) {
  const [file] = input.files;
  if (!file) return "";
  if (file.size === 0) return "This file is empty; choose another.";
  const total = files().reduce((sum, { files: [one] }) => sum + (one?.size ?? 0), 0);
  const most = Number(input.dataset.largest);
  return total > most ? `All files together may have ${most.toLocaleString("en")} bytes; these have ${total.toLocaleString("en")}.` : "";
}

// Says what is wrong with the file, or how large it is.
function tell(input) {
  const told = document.getElementById(`${input.id}-error`);
  const text = problem(input);
  const [file] = input.files;
  const line = document.createElement("p");
  line.className = text ? "field__error" : "field__hint";
  line.textContent = text || (file ? `${file.name}, ${file.size.toLocaleString("en")} bytes` : "");
  told.replaceChildren(...(line.textContent ? [line] : []));
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  return !text;
}

document.addEventListener("change", (event) => {
  if (files().includes(event.target)) files().forEach(tell);
});

// Before any other listener: a form that stays here has not been sent.
document.addEventListener("submit", (event) => {
  const wrong = files().find((input) => event.target.contains(input) && problem(input));
  if (!wrong) return;
  event.preventDefault();
  event.stopPropagation();
  tell(wrong);
  wrong.focus();
}, true);
