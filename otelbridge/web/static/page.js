// What every page has.
import "./keys.js";
import "./times.js";
import "./values.js";
import "./ranges.js";
import "./brush.js";
import "./complete.js";
import "./copying.js";
import "./traceback.js";
import "./refresh.js";
import "./themes.js";
import "./trouble.js";
