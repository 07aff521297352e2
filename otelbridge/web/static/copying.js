// Copy as text.
const announcer = document.getElementById("announcer");

async function textOf(button) {
  if (button.dataset.copy === "value") return button.dataset.text;
  if (button.dataset.copy === "traceback") return button.closest(".traceback").querySelector(".full").textContent;
  const response = await fetch(`/logs/${button.closest("[data-record]").dataset.record}.json`);
  return JSON.stringify(await response.json(), null, 2);
}

// Browsers give the clipboard to loopback and TLS only; the older way works elsewhere too.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const box = document.createElement("textarea");
  box.value = text;
  box.className = "unseen";
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  if (!done) throw new Error("the browser did not copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const before = button.textContent;
  try {
    await copy(await textOf(button));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  announcer.textContent = button.textContent;
  setTimeout(() => (button.textContent = before), 1500);
});
