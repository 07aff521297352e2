// Charts under each other over one range: one cursor for all, a drag chooses the range.
import { address, goToRange } from "./address.js";

const place = document.getElementById("charts");
const service = document.getElementById("service");
const metric = document.getElementById("metric");
const failed = document.getElementById("metrics-error");
// Told apart by eye in light and dark, in this order.
const colours = { light: ["#3a52c4", "#b4540a", "#11786b", "#a11f7e", "#6a4bb5", "#5b6b00", "#b02a37", "#2b6a99"], dark: ["#93a8ff", "#f2a35e", "#5fd0bd", "#f08ad0", "#bda2ff", "#c6d65a", "#ff8d92", "#7fc0ee"] };
// Steps of an axis of bytes: round in the units it is written in.
const powers = Array.from({ length: 50 }, (_, power) => 2 ** power);
let drawn = [];
let starts = [];
let charts = [];


function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// A colour as the canvas takes it: custom properties hold both the light and the dark one.
function resolved(name) {
  const probe = document.createElement("span");
  probe.className = `probe-${name}`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function written(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "share") return `${(value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
  if (unit === "bytes" || unit === "By") {
    const power = value > 0 ? Math.min(4, Math.floor(Math.log2(value) / 10)) : 0;
    return `${(value / 1024 ** power).toFixed(power > 2 ? 2 : power ? 0 : 0)} ${["B", "KB", "MB", "GB", "TB"][power]}`;
  }
  const shown = Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3));
  return `${shown}${unit && unit !== "1" ? ` ${unit}` : ""}`;
}

function label(series, several) {
  const rest = Object.entries(series.attributes).map(([name, value]) => `${name}=${value}`);
  return [series.service || "(no name)", several ? series.instance : "", ...rest].filter(Boolean).join(" · ");
}

// Series have their own moments; a chart has one list of them for all.
function aligned(series, start, end) {
  const moments = [...new Set(series.flatMap((one) => one.times))].sort((a, b) => a - b);
  const places = new Map(moments.map((moment, index) => [moment, index]));
  const columns = series.map((one) => {
    const column = new Array(moments.length).fill(undefined);
    one.times.forEach((moment, index) => (column[places.get(moment)] = one.means[index]));
    // A longer silence than three of its own steps is a gap, not a line.
    const steps = one.times.slice(1).map((moment, index) => moment - one.times[index]).sort((a, b) => a - b);
    const usual = steps[Math.floor(steps.length / 2)] || 0;
    one.times.forEach((moment, index) => {
      const next = one.times[index + 1];
      if (next && next - moment > 3.5 * usual) for (let at = places.get(moment) + 1; at < places.get(next); at += 1) column[at] = null;
    });
    return column;
  });
  return [moments.map((moment) => moment / 1000), ...columns];
}

function draw(section, chart, colourOf) {
  const plot = section.querySelector(".plot");
  const legend = section.querySelector(".legend");
  plot.replaceChildren();
  legend.replaceChildren();
  section.querySelector("h2").textContent = chart.title;
  if (!chart.series.length) {
    const nothing = document.createElement("p");
    nothing.className = "hint";
    nothing.textContent = `No ${chart.metric} in this range.`;
    plot.append(nothing);
    return null;
  }
  const counts = new Map();
  for (const one of chart.series) counts.set(one.service, (counts.get(one.service) ?? 0) + 1);
  const dim = resolved("dim");
  const line = resolved("line");
  const data = aligned(chart.series);
  const upper = chart.unit === "share" ? 0.1 : 0;
  const options = {
    width: plot.clientWidth,
    height: 150,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: "metrics" }, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: {
      x: { range: [chart.start / 1000, chart.end / 1000] },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(upper, (high ?? 1) * 1.08 || 1)] },
    },
    axes: [
      { stroke: dim, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11.5px system-ui, sans-serif", size: 26, space: 70, values: (self, splits, axis, space, step) => splits.map((at) => moment(at, step)) },
      { stroke: dim, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11.5px system-ui, sans-serif", size: 62, space: 32, incrs: chart.unit === "bytes" || chart.unit === "By" ? powers : undefined, values: (_, splits) => splits.map((value) => written(value, chart.unit)) },
    ],
    series: [{}, ...chart.series.map((one) => ({ label: label(one, counts.get(one.service) > 1), stroke: colourOf(one), width: 1.5, points: { size: 4 }, spanGaps: false }))],
    hooks: {
      setSelect: [(self) => {
        if (self.select.width < 4) return;
        const at = (x) => BigInt(Math.round(self.posToVal(x, "x") * 1000)) * 1000000n;
        goToRange(at(self.select.left), at(self.select.left + self.select.width));
      }],
      draw: [(self) => mark(self)],
      setCursor: [(self) => values(legend, chart, self, data)],
    },
  };
  legend.append(table(chart, counts, colourOf));
  return new uPlot(options, data, plot);
}

// Where processes started: a thin line; where another version came, a dashed one that names it.
function mark(plot) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio || 1;
  const colours = { false: resolved("line-strong"), true: resolved("text") };
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  for (const start of starts) {
    const x = Math.round(plot.valToPos(start.time / 1000, "x", true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = colours[start.deploy];
    ctx.lineWidth = ratio;
    ctx.setLineDash(start.deploy ? [4 * ratio, 3 * ratio] : []);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (start.deploy) ctx.fillText(start.version || "no version", x + 4 * ratio, bbox.top + 11 * ratio);
  }
  ctx.restore();
}

// The same in words, for whoever cannot see a line or wants to know whose it is.
function tell() {
  const said = document.getElementById("starts");
  if (!said) return;
  const deploys = starts.filter((one) => one.deploy);
  said.hidden = !starts.length;
  const parts = [`${starts.length} process ${starts.length === 1 ? "start" : "starts"} (lines)`];
  for (const one of deploys.slice(-5)) parts.push(`${one.service} ${one.version || "without a version"} at ${new Date(one.time).toLocaleTimeString([], { hour12: false })} (dashed)`);
  said.textContent = parts.join(" · ");
}

function moment(seconds, step) {
  const at = new Date(seconds * 1000);
  if (step >= 86400) return at.toLocaleDateString([], { day: "numeric", month: "short" });
  const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: step < 60 ? "2-digit" : undefined, hour12: false });
  return step >= 3600 && at.getHours() === 0 ? at.toLocaleDateString([], { day: "numeric", month: "short" }) : clock;
}

function table(chart, counts, colourOf) {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const text of ["", "mean", "max", "at cursor"]) {
    const cell = document.createElement("th");
    cell.textContent = text;
    cell.scope = "col";
    head.append(cell);
  }
  const body = made.createTBody();
  for (const one of chart.series) {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = colourOf(one);
    name.append(dot, label(one, counts.get(one.service) > 1));
    name.title = label(one, true);
    row.append(name);
    for (const text of [written(one.mean, chart.unit), written(one.max, chart.unit), ""]) row.insertCell().textContent = text;
  }
  return made;
}

function values(legend, chart, plot, data) {
  const rows = legend.querySelectorAll("tbody tr");
  rows.forEach((row, index) => {
    let at = plot.cursor.idx;
    // The nearest moment of another process may have no value of this one.
    while (at > 0 && data[index + 1][at] === undefined) at -= 1;
    row.lastElementChild.textContent = at === null || at === undefined ? "" : written(data[index + 1][at] ?? null, chart.unit);
  });
}

function show() {
  for (const chart of charts) chart?.destroy();
  const names = [...new Set(drawn.flatMap((chart) => chart.series.map((one) => `${one.service}\n${one.instance}`)))].sort();
  const palette = colours[isDark() ? "dark" : "light"];
  charts = drawn.map((chart) => {
    const section = [...place.children].find((one) => one.dataset.key === chart.key);
    const plain = chart.series.every((one) => !Object.keys(one.attributes).length);
    const colourOf = plain
      ? (one) => palette[names.indexOf(`${one.service}\n${one.instance}`) % palette.length]
      : (one) => palette[chart.series.indexOf(one) % palette.length];
    return draw(section, chart, colourOf);
  });
}

async function load() {
  const params = new URLSearchParams(location.search);
  // On the page of one project there is nothing to choose.
  if (place.dataset.service) params.set("service", place.dataset.service);
  const asked = [fetch(`/metrics.json?${params}`)];
  const extra = params.get("metric");
  if (extra) {
    params.set("name", extra);
    asked.push(fetch(`/metrics.json?${params}`));
  }
  const answers = await Promise.all(asked);
  const bad = answers.find((answer) => !answer.ok);
  const [main, more] = await Promise.all(answers.map((answer) => answer.json()));
  if (bad) throw new Error((main.error ?? more.error).message);
  drawn = more ? [...main.charts, more] : main.charts;
  starts = main.starts;
  tell();
  show();
  // A list that someone has open is left alone.
  if (!service || document.activeElement === service) return;
  const known = await (await fetch(`/services.json?${new URLSearchParams({ range: params.get("range") ?? "" })}`)).json();
  const chosen = service.dataset.chosen;
  const names = new Set([...known.services.map((one) => one.name), ...(chosen ? [chosen] : [])]);
  service.replaceChildren(new Option("all", ""), ...[...names].sort().map((name) => new Option(name, name, false, name === chosen)));
}

if (place) {
  load().catch((error) => {
    failed.textContent = `The charts could not be loaded: ${error.message}`;
    failed.hidden = false;
  });
  // A range that moves with the clock moves on, unless someone is at work in it.
  if (place.dataset.relative) {
    setInterval(() => {
      if (!document.hidden && !place.matches(":hover")) load().catch(() => {});
    }, 10000);
  }
  addEventListener("resize", () => charts.forEach((chart) => chart?.setSize({ width: chart.root.parentElement.clientWidth, height: 150 })));
  document.addEventListener("theme", show);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}
service?.addEventListener("change", () => location.assign(address({ service: service.value })));
metric?.addEventListener("change", () => location.assign(address({ metric: metric.value })));
