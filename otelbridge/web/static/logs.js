// What the Logs page has.
import "./rows.js";
import "./live.js";
import "./facets.js";

// On a phone the fields are folded away until they are asked for.
const fold = document.querySelector(".facets .fold");
fold?.addEventListener("click", () => fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true")));
