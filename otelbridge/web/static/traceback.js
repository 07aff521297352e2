// A traceback's own frames, or its full text.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-traceback=mode]");
  if (!button) return;
  const place = button.closest(".traceback");
  const full = place.dataset.mode !== "full";
  place.dataset.mode = full ? "full" : "clean";
  button.setAttribute("aria-pressed", String(full));
});
