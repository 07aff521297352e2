// Lines of the list: a click or Enter opens the record under its line, Esc closes it.
import { remember } from "./address.js";

function rowOf(target) {
  return target?.closest?.(".row");
}

async function open(row) {
  const link = row.querySelector(".message");
  const place = document.createElement("div");
  place.className = "panel-place";
  row.append(place);
  link.setAttribute("aria-expanded", "true");
  await htmx.ajax("GET", link.getAttribute("href"), { target: place, swap: "innerHTML" });
  remember({ record: row.dataset.id });
}

function close(row) {
  row.querySelector(".panel-place")?.remove();
  const link = row.querySelector(".message");
  link.setAttribute("aria-expanded", "false");
  const still = [...document.querySelectorAll(".row .panel-place")].pop();
  remember({ record: still ? rowOf(still).dataset.id : null });
}

document.addEventListener("click", (event) => {
  const line = event.target.closest?.(".row > .line");
  if (!line || event.target.closest("button") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  // Marking text with the mouse is not a click on it.
  if (String(getSelection()) && !event.target.closest("a")) return;
  event.preventDefault();
  const row = rowOf(line);
  if (row.querySelector(".panel-place")) close(row);
  else open(row);
});

document.addEventListener("close-row", () => {
  const row = rowOf(document.activeElement) || document.querySelector(".row:has(.panel-place)");
  if (!row?.querySelector(".panel-place")) return;
  close(row);
  row.querySelector(".message").focus({ preventScroll: true });
});
