// The first thing an owner sees: what the account is worth, what it gained, and how much it moves.

import { h } from "./dom.js";
import { NONE, day, money, percent, ratio, tone } from "./format.js";
import { tile, tiles } from "./panel.js";
import { ratiosReason } from "./words.js";

const UNVALUED = ["no_price", "no_valuation"];
const MOST_NAMED = 5;

/** The tiles of an `overview` answer. */
export function summary(answer) {
  const { snapshot, values, ...data } = answer.data;
  const gain = (amount) => money(amount, { signed: true });
  return h("div", { class: "summary" }, h("div", { class: "headline" }, tiles(
    tile("Value of the account", money(answer.equity), {
      remark: answer.equity_session ? `USD · ${day(answer.equity_session)}` : "no snapshot yet", id: "equity",
    }),
    snapshot && tile("P&L of the day", gain(snapshot.daily_pnl), {
      remark: snapshot.daily_return === null ? "USD" : `USD · ${percent(snapshot.daily_return, { digits: 2, signed: true })}`,
      tone: tone(snapshot.daily_pnl), id: "daily_pnl",
    }),
    snapshot && tile("P&L since the start", gain(snapshot.cumulative_pnl), {
      remark: "USD", tone: tone(snapshot.cumulative_pnl), id: "cumulative_pnl",
    }),
  )), tiles(
    tile("Invested, long", money(values.long_value), { remark: "USD", id: "long_value" }),
    tile("Invested, short", money(values.short_value), { remark: "USD", id: "short_value" }),
    tile("Leverage", values.gross_leverage === null ? NONE : `${ratio(values.gross_leverage)} ×`, {
      remark: "long and short / value", id: "gross_leverage",
    }),
    tile("Market beta", ratio(data.market_beta), { remark: data.market_beta === null ? "not known" : "% for 1 % of the market", id: "market_beta" }),
    tile("Expected volatility", percent(data.expected_volatility_21), {
      remark: data.expected_volatility_21 === null ? "not known" : "a year", id: "expected_volatility_21",
    }),
    tile("Positions", String(data.positions), {
      remark: positionsRemark(data),
      id: "positions",
    }),
  ));
}

function positionsRemark({ positions, positions_without_value: without }) {
  if (without) return `and ${without} without a value`;
  return positions ? "all valued" : "none yet";
}

/** What is to be known before any number is read, as notices. */
export function warnings(portfolio, overview) {
  const found = [];
  if (overview.ratios_reason) found.push(["warn", ratiosReason(overview.ratios_reason)]);
  if (portfolio.stale_from) {
    found.push(["calm", `Snapshots from ${day(portfolio.stale_from)} on are being recomputed after a change; this page follows by itself.`]);
  }
  if (overview.data.snapshot?.is_partial) {
    const names = [...overview.excluded.filter((item) => UNVALUED.includes(item.reason)), ...overview.carried].map((item) => item.symbol);
    found.push(["warn", `The newest snapshot lacks a price of the day${names.length ? ` of ${names.slice(0, MOST_NAMED).join(", ")}${names.length > MOST_NAMED ? " …" : ""}` : ""}: see the `,
      h("a", { href: "#positions", click: toPositions }, "positions"), "."]);
  }
  if (overview.as_of && overview.equity_session && overview.equity_session < overview.as_of) {
    found.push(["warn", `Prices are of ${day(overview.as_of)}, the value of the account is still of ${day(overview.equity_session)}.`]);
  }
  return found.map(([kind, ...text]) => h("p", { class: kind === "warn" ? "notice notice-warn" : "notice" }, text));
}

// The address keeps the portfolio.
function toPositions(event) {
  event.preventDefault();
  document.getElementById("positions").scrollIntoView();
  document.querySelector("#positions input")?.focus({ preventScroll: true });
}
