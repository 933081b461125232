// The calendar of coverage: sessions across, products down, and what the chosen session lacks.

import { h, scrolling, table } from "./dom.js";
import { count, day, moment, percent } from "./format.js";

const STATES = {
  published: ["yes", "good"], due: ["due", "calm"], failed: ["failed", "bad"], late: ["late", "bad"], missed: ["missed", "bad"],
  waived: ["waived", "calm"], closed: ["closed", "calm"], not_published: ["not yet", "calm"],
};
// States of a session that should be published and is not.
export const UNPUBLISHED = ["failed", "late", "missed"];
const TITLES = {
  market_beta: "Market beta", ir_beta: "Interest-rate beta", ridge_factors: "Style betas", spread_factors: "Spread betas",
  factor_covariances: "Covariances", symbol_daily_metrics: "Daily metrics", portfolio_snapshots: "Portfolio snapshots",
};
const LACKS = {
  no_price: "no price of the session", short_history: "too short a price history", constant: "a price that does not move",
  no_data_from_source: "the market source has no data of it",
};
// Below this share a cell is marked: the gate of a session is at 98 % unless it is set otherwise.
const NOTABLE = 0.98;
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** The calendar of a status and a coverage answer, with `chosen` the session whose lacks are told below. */
export function calendar(status, coverage, chosen, choose) {
  const sessions = status.sessions.toReversed();
  const covered = new Map(coverage.items.map((item) => [item.session, item]));
  const products = coverage.items[0]?.products.map((item) => item.product) ?? [];
  const find = (session, product) => covered.get(session)?.products.find((item) => item.product === product);
  const rows = [
    ["Published", sessions.map((item) => cell(...STATES[item.state], item.next_step ?? item.failed ?? item.state))],
    ["Prices", sessions.map((item) => shareCell(item.coverage, item.coverage !== null, `${percent(item.coverage, { digits: 2 })} of active symbols have a bar`))],
    ...products.map((product) => [TITLES[product] ?? product, sessions.map((item) => productCell(find(item.session, product), item))]),
  ];
  const heads = sessions.map((item) => h("th", { scope: "col" }, h("button", {
    type: "button", "aria-pressed": String(item.session === chosen), title: `What ${day(item.session)} lacks`, click: () => choose(item.session),
  }, SHORT.format(new Date(`${item.session}T00:00:00Z`)))));
  return scrolling("Calendar of coverage", h("table", { class: "calendar" },
    h("caption", { class: "unseen" }, "Coverage by product and session, oldest session first"),
    h("thead", null, h("tr", null, h("td", { class: "corner" }), heads)),
    h("tbody", null, rows.map(([title, cells]) => h("tr", null, h("th", { scope: "row" }, title), cells.map((shown) => h("td", null, shown)))))));
}

function cell(text, kind, title) {
  return h("span", { class: `cell cell-${kind}`, title }, text);
}

function shareCell(share, isKnown, title) {
  if (!isKnown || share === null) return cell("–", "none", "nothing there");
  const text = share >= 0.9995 ? "100 %" : `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
  return cell(text, share >= NOTABLE ? "good" : share > 0 ? "warn" : "bad", title);
}

function productCell(found, session) {
  const isOpen = session.state !== "published" && !found?.rows;
  if (isOpen) return cell("–", UNPUBLISHED.includes(session.state) ? "bad" : "none", `not published: ${session.state.replaceAll("_", " ")}`);
  if (!found || found.expected === 0) return cell("–", "none", "nothing is expected");
  const lacks = found.lacks.map((lack) => `${lack.symbols} ${lack.reason.replaceAll("_", " ")}`).join(", ");
  return shareCell(found.share, true, `${count(found.rows)} of ${count(found.expected)}${lacks ? `; without: ${lacks}` : ""}`);
}

/** What a session has, what it lacks and why, in words and names. */
export function sessionDetails(state, covered, orchestrator) {
  const facts = [
    ["State", `${state.state.replaceAll("_", " ")}${state.published_at ? `, ${moment(state.published_at)}` : ""}`],
    ["Generation", state.symbol_generation === null ? "none" : count(state.symbol_generation)],
    ["Portfolio snapshots", state.snapshots],
    ...[["Why not published", state.failed], ["Waived", state.waived], ["Exchange closed", state.closed], ["What happens next", state.next_step],
      ["Older than their prices", state.stale_symbols ? `figures of ${count(state.stale_symbols)} symbols` : null]].filter(([, text]) => text),
  ];
  const lacks = lacksOf(covered);
  return h("div", { class: "session-details", id: "session-details" }, h("h3", null, day(state.session)),
    h("dl", { class: "facts" }, facts.map(([name, text]) => [h("dt", null, name), h("dd", null, text)])),
    lacks.length === 0 ? (state.symbol_generation === null ? null : h("p", { class: "hint" }, "Every symbol that trades has every product."))
      : scrolling(`What ${day(state.session)} lacks`, table({
        caption: `Symbols without a value on ${day(state.session)}`,
        columns: [{ label: "Why" }, { label: "Symbols", numeric: true }, { label: "Which" }, { label: "Missing from" }], rows: lacks,
      })),
    h("p", null, h("a", { href: `${orchestrator}/assets/symbol_prices?partition=${state.session}` }, "This partition in Dagster")));
}

// The same symbols lack several products for one reason, as a rule: told once.
function lacksOf(covered) {
  const told = new Map();
  for (const product of covered?.products ?? []) {
    for (const { reason, symbols, named } of product.lacks) {
      const key = JSON.stringify([reason, symbols, named]);
      if (!told.has(key)) told.set(key, { reason, symbols, named, products: [] });
      told.get(key).products.push(TITLES[product.product] ?? product.product);
    }
  }
  return [...told.values()].map(({ reason, symbols, named, products }) => [LACKS[reason] ?? reason.replaceAll("_", " "), count(symbols),
    named.join(", ") + (symbols > named.length ? " …" : ""), products.join(", ")]);
}
