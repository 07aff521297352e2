// Parts of a page that renew themselves, unless someone is at work in them or nobody looks.
for (const place of document.querySelectorAll("[data-refresh]")) {
  setInterval(() => {
    if (document.hidden || place.contains(document.activeElement) || !getSelection().isCollapsed) return;
    htmx.trigger(place, "refresh");
  }, Number(place.dataset.refresh) * 1000);
}
