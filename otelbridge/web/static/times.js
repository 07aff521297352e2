// Moments by the reader's clock. The server writes them with today's offset from UTC; a moment on
// the other side of a change to or from summer time has another.
function localise(root) {
  const today = new Date().getTimezoneOffset();
  for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
    element.dataset.local = "";
    const moment = new Date(element.dateTime);
    if (moment.getTimezoneOffset() === today) continue;
    const two = (number) => String(number).padStart(2, "0");
    const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
    const clock = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
    element.textContent = `${day} ${clock}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
  }
}

localise(document);
document.addEventListener("htmx:load", (event) => localise(event.detail.elt));
