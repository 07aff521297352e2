// Fields that were opened stay open: the address names them.
const place = document.getElementById("facets");
const form = document.getElementById("search");

function named() {
  return new URLSearchParams(location.search).getAll("facet");
}

document.addEventListener(
  "toggle",
  (event) => {
    const name = event.target.dataset?.facet;
    if (name === undefined) return;
    const url = new URL(location.href);
    const others = named().filter((one) => one !== name);
    url.searchParams.delete("facet");
    for (const one of event.target.open ? [...others, name] : others) url.searchParams.append("facet", one);
    history.replaceState(history.state, "", url);
  },
  true,
);

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target !== place) return;
  for (const details of place.querySelectorAll("[data-facet]")) {
    if (!named().includes(details.dataset.facet)) continue;
    details.open = true;
    const group = details.closest(".process");
    if (group) group.open = true;
  }
});

form.addEventListener("submit", () => {
  for (const name of named()) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "facet", value: name });
    form.append(field);
  }
});
