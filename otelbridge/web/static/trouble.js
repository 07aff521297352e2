// The bridge does not answer: one sentence, and the picture stays as it was.
const place = document.getElementById("trouble");

document.addEventListener("htmx:sendError", () => {
  place.textContent = "The bridge does not answer. What is shown here is what was last seen.";
  place.hidden = false;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) place.hidden = true;
});
