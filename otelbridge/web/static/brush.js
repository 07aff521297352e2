// Choosing a range on a chart of bars: drag over them, or the arrow keys and Enter.
import { goToRange } from "./address.js";

const announcer = document.getElementById("announcer");

function barsOf(chart) {
  return [...chart.querySelectorAll("[data-bar]")];
}

function mark(chart, first, last) {
  const bars = barsOf(chart);
  const selection = chart.querySelector(".selection");
  chart.dataset.first = first;
  chart.dataset.last = last;
  const from = bars[Math.min(first, last)].querySelector(".touch");
  const to = bars[Math.max(first, last)].querySelector(".touch");
  const x = parseFloat(from.getAttribute("x"));
  selection.setAttribute("x", `${x}%`);
  selection.setAttribute("width", `${parseFloat(to.getAttribute("x")) + parseFloat(to.getAttribute("width")) - x}%`);
}

function clear(chart) {
  delete chart.dataset.first;
  delete chart.dataset.last;
  chart.querySelector(".selection").setAttribute("width", "0");
}

function show(chart) {
  const bars = barsOf(chart);
  const ends = [Number(chart.dataset.first), Number(chart.dataset.last)];
  const first = bars[Math.min(...ends)];
  const last = bars[Math.max(...ends)];
  if (first && last) goToRange(BigInt(first.dataset.bar), BigInt(last.dataset.until));
}

function barAt(chart, x) {
  const bars = barsOf(chart);
  const box = chart.querySelector("svg").getBoundingClientRect();
  const share = (100 * (x - box.left)) / box.width;
  const found = bars.findIndex((bar) => {
    const touch = bar.querySelector(".touch");
    return share < parseFloat(touch.getAttribute("x")) + parseFloat(touch.getAttribute("width"));
  });
  return found < 0 ? bars.length - 1 : found;
}

document.addEventListener("pointerdown", (event) => {
  const chart = event.target.closest?.("[data-brush]");
  if (!chart || event.button !== 0 || !barsOf(chart).length) return;
  const start = barAt(chart, event.clientX);
  mark(chart, start, start);
  const move = (moved) => mark(chart, start, barAt(chart, moved.clientX));
  const stop = (done) => {
    document.removeEventListener("pointermove", move);
    document.removeEventListener("pointerup", stop);
    document.removeEventListener("pointercancel", stop);
    if (done.type === "pointerup") show(chart);
    else clear(chart);
  };
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", stop);
  document.addEventListener("pointercancel", stop);
});

document.addEventListener("keydown", (event) => {
  const chart = event.target.closest?.("[data-brush]");
  if (!chart) return;
  const bars = barsOf(chart);
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && bars.length) {
    const known = chart.dataset.last !== undefined;
    const last = known ? Math.min(bars.length - 1, Math.max(0, Number(chart.dataset.last) + step)) : step > 0 ? 0 : bars.length - 1;
    mark(chart, event.shiftKey && known ? Number(chart.dataset.first) : last, last);
    const when = new Date(Number(BigInt(bars[last].dataset.bar) / 1000000n));
    announcer.textContent = `${when.toLocaleTimeString()}: ${bars[last].querySelector("title").textContent}`;
  } else if (event.key === "Enter" && chart.dataset.last !== undefined) show(chart);
  else if (event.key === "Escape" && chart.dataset.last !== undefined) clear(chart);
  else return;
  event.preventDefault();
});
