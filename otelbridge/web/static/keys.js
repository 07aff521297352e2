// One key, one thing: / t l j k Enter Esc ?
const help = document.getElementById("keys");

function typing(target) {
  return target.matches?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
}

function move(step) {
  const links = [...document.querySelectorAll("[data-row-link]")].filter((link) => link.offsetParent);
  if (!links.length) return;
  const row = document.activeElement?.closest?.("[data-row]");
  const here = row ? links.findIndex((link) => link.closest("[data-row]") === row) : -1;
  const next = links[here < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, here + step))];
  next.focus({ preventScroll: true });
  next.closest("[data-row]").scrollIntoView({ block: "nearest" });
}

function focusInput(id) {
  const input = document.getElementById(id);
  if (!input) return false;
  input.focus();
  input.select();
  return true;
}

const keys = {
  "/": () => focusInput("query"),
  t: () => focusInput("range"),
  l: () => document.getElementById("live")?.click(),
  j: () => move(1),
  k: () => move(-1),
  "?": () => (help.open ? help.close() : help.showModal()),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && !help.open) {
    if (typing(event.target)) event.target.blur();
    else document.dispatchEvent(new CustomEvent("close-row"));
    return;
  }
  if (typing(event.target) || (help.open && event.key !== "?")) return;
  const act = keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

document.getElementById("help").addEventListener("click", () => help.showModal());
