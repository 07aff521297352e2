// The address holds what is shown: reading and changing it.

// The current address with other parameters; null takes one away.
export function address(changes, path = location.pathname) {
  const url = new URL(path, location.href);
  for (const [name, value] of new URLSearchParams(location.search)) url.searchParams.append(name, value);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.pathname + url.search;
}

// Another moment in time is a new page of the list, with nothing opened.
export function goToRange(start, end) {
  location.assign(address({ range: `${iso(start)}/${iso(end)}`, before: null, record: null, live: null }));
}

export function remember(changes) {
  history.replaceState(history.state, "", address(changes));
}

// Nanoseconds since the epoch (BigInt) as UTC text, without a fraction of zeros.
export function iso(nanoseconds) {
  const seconds = nanoseconds / 1000000000n;
  const rest = nanoseconds % 1000000000n;
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = rest ? "." + String(rest).padStart(9, "0").replace(/0+$/, "") : "";
  return `${text}${fraction}Z`;
}
