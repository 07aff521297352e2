// Completion of field names and values in the query.
const input = document.getElementById("query");
const list = document.getElementById("completions");
let offered = [];
let chosen = -1;
let asked = 0;

function close() {
  offered = [];
  chosen = -1;
  list.hidden = true;
  list.replaceChildren();
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function choose(place) {
  chosen = place;
  [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === place)));
  const item = list.children[place];
  if (item) {
    input.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

function take(place) {
  const { text, start, end } = offered[place];
  const letters = [...input.value];
  const units = (count) => letters.slice(0, count).join("").length;
  input.setRangeText(text, units(start), units(end), "end");
  close();
  input.focus();
  ask();
}

function show(completions) {
  offered = completions;
  chosen = -1;
  list.replaceChildren(
    ...completions.map(({ label, kind, description }, index) => {
      const item = document.createElement("li");
      item.id = `completion-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      const what = document.createElement("span");
      what.className = "kind";
      what.textContent = description || kind;
      item.append(label, what);
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(index);
      });
      return item;
    }),
  );
  list.hidden = !completions.length;
  input.setAttribute("aria-expanded", String(!list.hidden));
}

async function ask() {
  const number = ++asked;
  // The server counts characters, the browser counts halves of some.
  const cursor = [...input.value.slice(0, input.selectionStart)].length;
  const params = new URLSearchParams({ text: input.value, cursor, signal: input.dataset.signal });
  const response = await fetch(`/complete.json?${params}`);
  // An answer to what is no longer written is of no use.
  if (number !== asked || document.activeElement !== input || !response.ok) return;
  show((await response.json()).completions);
}

if (input) {
  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 60);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && list.hidden) ask();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      choose((chosen + step + offered.length) % offered.length);
    } else if ((event.key === "Enter" && chosen >= 0) || (event.key === "Tab" && !list.hidden && !event.shiftKey)) take(Math.max(0, chosen));
    else if (event.key === "Escape" && !list.hidden) close();
    else return;
    event.preventDefault();
  });
  input.form.addEventListener("submit", () => {
    asked += 1;
    close();
  });
}
