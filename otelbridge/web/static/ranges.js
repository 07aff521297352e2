// The time range: picked from a list that opens under the box.
const input = document.getElementById("range");
const popup = document.getElementById("ranges");

if (input && popup) {
  const place = input.closest(".range");
  // A chosen range is shown by the reader's clock; untouched, it goes back as exact as it came.
  const shown = input.value;
  input.form.addEventListener("submit", () => {
    if (input.value === shown) input.value = input.dataset.exact;
  });
  input.addEventListener("focus", () => (popup.hidden = false));
  input.addEventListener("click", () => (popup.hidden = false));
  place.addEventListener("focusout", (event) => {
    if (!place.contains(event.relatedTarget)) popup.hidden = true;
  });
  place.addEventListener("keydown", (event) => {
    const picks = [...popup.querySelectorAll("a")];
    const here = picks.indexOf(document.activeElement);
    if (event.key === "Escape" && !popup.hidden) {
      popup.hidden = true;
      input.focus();
      popup.hidden = true;
      event.preventDefault();
    } else if (event.key === "ArrowDown" && here < 0) {
      popup.hidden = false;
      picks[0].focus();
      event.preventDefault();
    } else if (here >= 0 && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      picks[Math.min(picks.length - 1, Math.max(0, here + (event.key === "ArrowRight" ? 1 : -1)))].focus();
      event.preventDefault();
    }
  });
  // A press on a link in the popup must not first take the popup away.
  popup.addEventListener("mousedown", (event) => event.preventDefault());
}
