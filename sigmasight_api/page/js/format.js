// Numbers and dates as people read them. Money arrives as decimal text and is never turned into a float to be shown.

export const NONE = "–";
const MINUS = "\u2212";

/** Decimal text with its sign and groups of three: "-1234.50" is "−1,234.50". */
export function money(text, { signed = false } = {}) {
  if (text === null || text === undefined) return NONE;
  const isNegative = text.startsWith("-");
  const [whole, part] = text.replace(/^[-+]/, "").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const isZero = /^[0.]*$/.test(whole + (part ?? ""));
  const sign = isZero ? "" : isNegative ? MINUS : signed ? "+" : "";
  return sign + grouped + (part === undefined ? "" : `.${part}`);
}

/** A price or a quantity: as money, without zeros that say nothing. */
export function plain(text) {
  return text === null || text === undefined ? NONE : money(text.includes(".") ? text.replace(/\.?0+$/, "") : text);
}

/** A price: at least two decimal places, more when it has them. */
export function price(text) {
  return text === null || text === undefined ? NONE : money(text.replace(/(\.\d{2}\d*?)0+$/, "$1"));
}

/** A ratio as it is, with so many decimal places. */
export function ratio(value, { digits = 2, signed = false } = {}) {
  if (value === null || value === undefined) return NONE;
  const shown = Math.abs(value).toFixed(digits);
  const isZero = Number(shown) === 0;
  return (isZero ? "" : value < 0 ? MINUS : signed ? "+" : "") + shown;
}

/** A ratio as percent: 0.127 is "12.7 %". */
export function percent(value, { digits = 1, signed = false } = {}) {
  return value === null || value === undefined ? NONE : `${ratio(value * 100, { digits, signed })} %`;
}

/** A count with groups of three. */
export function count(value) {
  return value === null || value === undefined ? NONE : money(String(value));
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
// Sessions are New York's, and so is the night that operators watch.
const MOMENT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "America/New_York",
});

/** An ISO date as "30 Jun 2026". */
export function day(text) {
  return text ? DAY.format(new Date(`${text}T00:00:00Z`)) : NONE;
}

/** An instant by the exchange's clock. */
export function moment(text) {
  return text ? MOMENT.format(new Date(text)) : NONE;
}

/** Whether decimal text is below, at or above zero. */
export function sign(text) {
  return text === null || text === undefined ? 0 : Math.sign(Number(text));
}

/** "1 position", "2 positions". */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** The class that colours a gain or a loss; the sign says it too. */
export function tone(text) {
  return ["loss", "even", "gain"][sign(text) + 1];
}
