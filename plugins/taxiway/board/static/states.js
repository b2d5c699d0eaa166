// The states of a month: their signs and words. Their colours are in board.css, by the same names.

/** By state, in the order of the legend: the sign, the class, and what it means. */
export const STATES = new Map([
  ["published", { sign: "✓", look: "published", says: "published" }],
  ["with warnings", { sign: "!", look: "warned", says: "published with warnings" }],
  ["changed at the source", { sign: "↻", look: "changed", says: "changed at the source since" }],
  ["queued", { sign: "»", look: "queued", says: "waits for its load" }],
  ["running", { sign: "…", look: "running", says: "running" }],
  ["failed", { sign: "✕", look: "failed", says: "failed" }],
  ["missing", { sign: "○", look: "missing", says: "missing" }],
  ["skipped", { sign: "–", look: "skipped", says: "no file at the last try" }],
  ["not due", { sign: "·", look: "not-due", says: "not published yet" }],
  ["no such month", { sign: "", look: "no-file", says: "out of the source's range" }],
]);

/** How a month is shown: a run of taxi that loads it, or will, comes before what the ledger says. */
export const shown = (month) => month.run ?? month.state;

/** Whether a load of the month is under way: a published month stays published meanwhile. */
export const isLoading = (month) => shown(month) === "running" || month.last === "running";

const NUMBER = new Intl.NumberFormat("en");
const PARTS = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const MOMENT = new Intl.DateTimeFormat("en-CA", PARTS);
const ZONED = new Intl.DateTimeFormat("en-CA", { ...PARTS, timeZoneName: "short" });

export const number = (value) => NUMBER.format(value);
export const moment = (text) => MOMENT.format(new Date(text)).replace(",", "");
export const zoned = (text) => ZONED.format(new Date(text)).replace(",", "");
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export const size = (bytes) => {
  const units = ["bytes", "kB", "MB", "GB"];
  let power = 0;
  while (bytes >= 1000 && power < units.length - 1) [bytes, power] = [bytes / 1000, power + 1];
  return `${power && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[power]}`;
};

export const duration = (seconds) => {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

/** Make an element; text is never read as HTML. */
export const element = (tag, attributes = {}, ...content) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...content.filter((part) => part !== null && part !== undefined));
  return made;
};

/** Say what is wrong with an answer of ask or send, with a link if that leads on. */
export const said = ({ problem, login }) =>
  login ? [`${problem} `, element("a", { href: login, "data-airflow": "" }, "Log in again")] : [problem];

/** List what there is to know of a month, each with its title. */
export const facts = (month, source) => {
  const found = [];
  const tell = (title, value) => value !== undefined && value !== "" && found.push([title, value]);
  tell("Rows", month.rows !== undefined ? number(month.rows) : undefined);
  tell("Rejected", month.rows !== undefined ? number(month.rejected ?? 0) : undefined);
  tell("File", month.file && (month.bytes === undefined ? month.file : `${month.file}, ${size(month.bytes)}`));
  tell("Release", source.releases[month.release]);
  tell("Layout", month.layout);
  tell("Took", month.seconds !== undefined ? duration(month.seconds) : undefined);
  tell("Published", month.at && moment(month.at));
  tell("Expected by", month.due);
  if (month.last) tell("Last load", `${month.last} in ${month.step}, begun ${moment(month.began_at)}`);
  for (const warning of month.warnings ?? []) tell("Warning", warning);
  tell("Reason", month.error);
  tell("Source", month.seen);
  return found;
};

export const factList = (found) => {
  const list = element("dl", { class: "facts" });
  for (const [title, value] of found) list.append(element("dt", {}, title), element("dd", {}, value));
  return list;
};
