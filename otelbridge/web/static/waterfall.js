// The waterfall: a click opens a span, the triangle folds what it called.
function follows(item) {
  const below = [];
  const depth = Number(item.dataset.depth);
  for (let next = item.nextElementSibling; next && Number(next.dataset.depth) > depth; next = next.nextElementSibling) below.push(next);
  return below;
}

function fold(item, folded) {
  const button = item.querySelector(".fold-button");
  if (!button) return;
  button.setAttribute("aria-expanded", String(!folded));
  let folding = null;
  for (const other of follows(item)) {
    const depth = Number(other.dataset.depth);
    if (folding !== null && depth > folding) continue;
    folding = null;
    other.hidden = folded;
    // What was folded below stays folded when this opens.
    if (!folded && other.querySelector(".fold-button[aria-expanded=false]")) folding = depth;
  }
}

function toggle(item, open) {
  const button = item.querySelector(".span-open");
  const panel = item.querySelector(".span-panel");
  const opened = open ?? panel.hidden;
  panel.hidden = !opened;
  item.classList.toggle("opened", opened);
  button.setAttribute("aria-expanded", String(opened));
  const logs = item.querySelector(".span-logs");
  if (logs && opened) logs.hidden = false;
}

document.addEventListener("click", (event) => {
  const folder = event.target.closest?.(".fold-button");
  if (folder) {
    fold(folder.closest(".span"), folder.getAttribute("aria-expanded") === "true");
    return;
  }
  const row = event.target.closest?.(".span > .span-row");
  if (row) {
    const item = row.closest(".span");
    toggle(item);
    const url = new URL(location.href);
    if (item.classList.contains("opened")) url.searchParams.set("span", item.dataset.span);
    else url.searchParams.delete("span");
    url.hash = "";
    history.replaceState(history.state, "", url);
    return;
  }
  const link = event.target.closest?.('a[href^="#span-"]');
  if (link) {
    const item = document.querySelector(link.getAttribute("href"));
    if (item) {
      for (let other = item; other; other = other.previousElementSibling) if (other.hidden) fold(other.previousElementSibling ?? other, false);
      toggle(item, true);
      item.scrollIntoView({ block: "center" });
      item.querySelector(".span-open").focus({ preventScroll: true });
      event.preventDefault();
    }
    return;
  }
  const tool = event.target.closest?.("[data-waterfall]");
  if (!tool) return;
  if (tool.dataset.waterfall === "unfold") {
    for (const item of document.querySelectorAll(".span")) {
      item.hidden = false;
      item.querySelector(".fold-button")?.setAttribute("aria-expanded", "true");
    }
  } else {
    const all = tool.getAttribute("aria-pressed") !== "true";
    tool.setAttribute("aria-pressed", String(all));
    for (const logs of document.querySelectorAll(".span-logs")) {
      const item = logs.closest(".span");
      logs.hidden = !all && !item.classList.contains("opened") && !item.classList.contains("failed");
    }
  }
});

document.addEventListener("close-row", () => {
  const item = document.activeElement?.closest?.(".span") || document.querySelector(".span.opened");
  if (item?.classList.contains("opened")) {
    toggle(item, false);
    item.querySelector(".span-open").focus({ preventScroll: true });
  }
});

for (const item of document.querySelectorAll(".span[data-fold]")) fold(item, true);
const asked = new URLSearchParams(location.search);
const place = document.getElementById(`log-${asked.get("record")}`) || document.getElementById(`span-${asked.get("span")}`);
place?.scrollIntoView({ block: "center" });
