// Buttons that put a role into the field of roles, or take it out again.
const quick = document.querySelector("[data-roles-for]");

if (quick) {
  const field = document.getElementById(quick.dataset.rolesFor);
  const buttons = [...quick.querySelectorAll("[data-role]")];

  const roles = () => field.value.split(",").map((role) => role.trim()).filter(Boolean);

  const show = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", roles().includes(button.dataset.role));
  };

  quick.addEventListener("click", (event) => {
    const role = event.target.dataset.role;
    if (!role) return;
    const given = roles();
    field.value = (given.includes(role) ? given.filter((one) => one !== role) : [...given, role]).join(", ");
    show();
  });

  field.addEventListener("input", show);
  quick.hidden = false;
  show();
}
