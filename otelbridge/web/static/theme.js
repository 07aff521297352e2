// Before the first paint: the chosen theme, and the reader's clock for the server.
"use strict";
(() => {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;

  const offset = String(-new Date().getTimezoneOffset());
  const known = () => (document.cookie.match(/(?:^|; )utc_offset=(-?\d+)/) || [])[1];
  const before = known() ?? "0";
  document.cookie = `utc_offset=${offset}; path=/; max-age=31536000; samesite=lax`;
  // Times of this page are of another clock: ask again, unless the browser keeps no cookies.
  if (before !== offset && known() === offset) location.reload();
})();
