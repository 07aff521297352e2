// What the Logs page has.
import "./rows.js";
import "./live.js";
