// The live tail. New lines come in at the top while nobody could be reading there; else a bar
// counts them and waits.
import { remember } from "./address.js";

const rows = document.getElementById("rows");
const button = document.getElementById("live");
const bar = document.getElementById("arrived");
const announcer = document.getElementById("announcer");

const MOST_WAITING = 500;
const MOST_SHOWN = 1000;
const CHART_EVERY = 5000;

let source = null;
let paused = false;
let waiting = [];
let counted = 0;
let newest = rows?.dataset.newest;
let chart = null;

function reading() {
  const above = document.querySelector(".search").getBoundingClientRect().bottom;
  return (
    rows.getBoundingClientRect().top < above - 2 ||
    rows.querySelector(".panel-place") !== null ||
    rows.contains(document.activeElement) ||
    rows.contains(getSelection().isCollapsed ? null : getSelection().anchorNode)
  );
}

function say() {
  const word = button.querySelector(".word");
  button.setAttribute("aria-pressed", String(source !== null && !paused));
  button.dataset.state = source === null ? "off" : paused ? "paused" : "on";
  word.textContent = source !== null && paused ? "Paused" : "Live";
  bar.hidden = counted === 0;
  bar.textContent = `${counted.toLocaleString()} new`;
}

function insert(found) {
  document.getElementById("empty")?.remove();
  for (const row of found) {
    if (row.id && document.getElementById(row.id)) continue;
    // Nearly always the first place; a record that came late goes where its time puts it.
    let next = rows.firstElementChild;
    if (row.dataset.id) while (next && !(Number(next.dataset.id) < Number(row.dataset.id))) next = next.nextElementSibling;
    rows.insertBefore(row, next);
  }
  while (rows.childElementCount > MOST_SHOWN) rows.lastElementChild.remove();
}

function flush() {
  const found = waiting;
  waiting = [];
  counted = 0;
  insert(found);
  say();
}

function receive(event) {
  const template = document.createElement("template");
  template.innerHTML = event.data;
  // Newest first as written; oldest first to put each on top of the one before.
  const found = [...template.content.children].reverse();
  newest = event.lastEventId || newest;
  counted += found.length;
  waiting.push(...found);
  if (waiting.length > MOST_WAITING) waiting.splice(0, waiting.length - MOST_WAITING);
  if (!paused && !reading()) {
    announcer.textContent = `${found.length} new`;
    flush();
  } else say();
}

function connect() {
  if (source || document.hidden) return;
  const params = new URLSearchParams(location.search);
  const asked = new URLSearchParams({ query: params.get("query") ?? "", after: newest });
  source = new EventSource(`/logs/tail?${asked}`);
  source.addEventListener("logs", receive);
  source.addEventListener("open", () => (button.dataset.connection = "open"));
  source.addEventListener("error", () => (button.dataset.connection = "lost"));
  chart = setInterval(() => {
    const place = document.getElementById("histogram");
    if (!paused && !place.contains(document.activeElement) && !place.querySelector("[data-first]")) htmx.trigger(place, "refresh");
  }, CHART_EVERY);
}

function disconnect() {
  source?.close();
  source = null;
  clearInterval(chart);
}

if (button && rows) {
  let wanted = rows.dataset.live === "1";
  button.addEventListener("click", () => {
    if (!source) {
      wanted = true;
      paused = false;
      connect();
      scrollTo({ top: 0 });
    } else {
      paused = !paused;
      if (!paused) flush();
    }
    remember({ live: paused ? null : "1", before: null });
    say();
  });
  bar.addEventListener("click", () => {
    paused = false;
    scrollTo({ top: 0 });
    flush();
    remember({ live: "1" });
  });
  // A tab nobody sees needs no connection: browsers allow six to one server, for all tabs.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else if (wanted) connect();
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => event.persisted && wanted && connect());
  if (wanted) connect();
  say();
}
