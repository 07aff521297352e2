// A click on any value offers: only this, not this, show its traces.
import { address } from "./address.js";

const menu = document.createElement("div");
menu.className = "popup menu";
menu.setAttribute("role", "menu");
menu.hidden = true;
document.body.append(menu);
let opener = null;

// A field's name and a value as KQL writes them.
export function comparison(field, value) {
  const plain = /^[\w.@/-]+$/.test(field) && !/^(and|or|not)$/i.test(field);
  return `${plain ? field : quoted(field)}: ${quoted(value)}`;
}

function quoted(text) {
  const escapes = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return `"${text.replace(/[\\"]/g, "\\$&").replace(/[\n\r\t]/g, (white) => escapes[white])}"`;
}

function joined(condition) {
  const before = document.body.dataset.joined;
  return before ? `${before} and ${condition}` : condition;
}

function offers(field, value) {
  const condition = comparison(field, value);
  const traces = location.pathname.startsWith("/traces");
  const stay = traces ? "/traces" : "/logs";
  const reset = { before: null, record: null, span: null };
  const elsewhere = { ...reset, query: condition, live: null, facet: null };
  const offered = [
    ["Only this", address({ ...reset, query: joined(condition) }, stay)],
    ["Not this", address({ ...reset, query: joined(`not ${condition}`) }, stay)],
    ["Show its traces", address({ ...elsewhere, by: traces ? null : "logs" }, "/traces")],
  ];
  if (traces) offered.push(["Show its logs", address({ ...elsewhere, by: null }, "/logs")]);
  return offered;
}

function open(button) {
  opener = button;
  menu.replaceChildren();
  const shown = document.createElement("div");
  shown.className = "menu-title";
  shown.textContent = `${button.dataset.field}: ${button.dataset.value.slice(0, 80)}`;
  menu.append(shown);
  for (const [text, href] of offers(button.dataset.field, button.dataset.value)) {
    const link = document.createElement("a");
    link.setAttribute("role", "menuitem");
    link.href = href;
    link.textContent = text;
    menu.append(link);
  }
  const copy = document.createElement("button");
  copy.type = "button";
  copy.setAttribute("role", "menuitem");
  copy.textContent = "Copy value";
  copy.dataset.copy = "value";
  copy.dataset.text = button.dataset.value;
  menu.append(copy);
  menu.hidden = false;
  const place = button.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const left = Math.max(8, Math.min(place.left, innerWidth - size.width - 8));
  const below = place.bottom + 4 + size.height < innerHeight;
  menu.style.left = `${left + scrollX}px`;
  menu.style.top = `${(below ? place.bottom + 4 : Math.max(8, place.top - size.height - 4)) + scrollY}px`;
  menu.querySelector("a").focus({ preventScroll: true });
}

function close(back) {
  if (menu.hidden) return;
  menu.hidden = true;
  if (back) opener?.focus({ preventScroll: true });
  opener = null;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button.value");
  if (button) {
    event.preventDefault();
    if (opener === button) close(false);
    else open(button);
  } else if (!menu.contains(event.target)) close(false);
});

menu.addEventListener("keydown", (event) => {
  const items = [...menu.querySelectorAll("[role=menuitem]")];
  const here = items.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) items[(here + step + items.length) % items.length].focus();
  else if (event.key === "Escape" || event.key === "Tab") close(true);
  else return;
  event.preventDefault();
});
