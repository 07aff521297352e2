// Copy as text.
const announcer = document.getElementById("announcer");

async function textOf(button) {
  if (button.dataset.copy === "traceback") return button.closest(".traceback").querySelector(".full").textContent;
  const response = await fetch(`/logs/${button.closest("[data-record]").dataset.record}.json`);
  return JSON.stringify(await response.json(), null, 2);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(await textOf(button));
    button.textContent = "Copied";
  } catch {
    // Browsers allow the clipboard on loopback and over TLS only.
    button.textContent = "Not allowed here";
  }
  announcer.textContent = button.textContent;
  setTimeout(() => (button.textContent = before), 1500);
});
