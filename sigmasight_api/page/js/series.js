// The account over time: value, daily P&L, what 1 has become beside SPY, and how far both are below their peak.

import { h } from "./dom.js";
import { figure } from "./charts.js";
import { NONE, count, counted, day, money, percent, ratio } from "./format.js";
import { tile, tiles } from "./panel.js";
import { missing } from "./words.js";

const HEIGHT = 720;
// How far back a choice goes, in months; the API measures from the newest snapshot before that date.
export const SPANS = [["1 month", 1], ["3 months", 3], ["1 year", 12], ["All", null]];

/** The first date of a span that ends at `last`, or null for all. */
export function spanStart(last, months) {
  if (months === null || !last) return null;
  const [year, month, date] = last.split("-").map(Number);
  const lastOfMonth = new Date(Date.UTC(year, month - months, 0)).getUTCDate();
  return new Date(Date.UTC(year, month - 1 - months, Math.min(date, lastOfMonth))).toISOString().slice(0, 10);
}

/** Draw a `performance` answer and the snapshots of the same span into a panel. */
export async function drawSeries(panel, performance, snapshots) {
  const { data } = performance;
  if (snapshots.length === 0) {
    panel.empty("There is no snapshot yet. The first one comes by itself, minutes after the portfolio was entered, once its symbols have figures.");
    return;
  }
  if (snapshots.length === 1) {
    panel.empty(`There is one snapshot, of ${day(snapshots[0].session)}: ${money(snapshots[0].equity)} USD. A line needs two; the next comes after the next market day.`);
    return;
  }
  const points = new Map(data.items.map((point) => [point.session, point]));
  const fund = drawdowns(data.items.map((point) => point.benchmark_index));
  const ofFund = new Map(data.items.map((point, place) => [point.session, fund[place]]));
  const shown = figure({
    id: "plot-series", height: HEIGHT,
    describe: description(data, snapshots),
    plot: (colour) => plot(colour, snapshots, points, ofFund),
    figures: () => figures(snapshots, points, ofFund),
  });
  panel.show(numbers(data), legend(), shown.element, broken(data));
  await shown.draw();
}

/** What a worth of 1 is below its highest so far, 0 or negative; null where there is none. */
export function drawdowns(index) {
  let peak = -Infinity;
  return index.map((value) => {
    if (value === null) return null;
    peak = Math.max(peak, value);
    return value / peak - 1;
  });
}

function numbers(data) {
  const why = Object.fromEntries(data.missing.map((item) => [item.name, missing(item)]));
  const fall = (drop) => drop && `${day(drop.peak_session)} to ${day(drop.session)}`;
  const against = data.benchmark;
  return tiles(
    tile("Return, time-weighted", percent(data.total_return, { digits: 2, signed: true }), {
      id: "total_return", remark: data.total_return === null ? why.total_return : `SPY ${percent(against.total_return, { digits: 2, signed: true })}`,
    }),
    tile("Deepest drawdown", percent(data.maximum_drawdown?.depth, { digits: 2 }), {
      id: "maximum_drawdown", remark: fall(data.maximum_drawdown) ?? why.maximum_drawdown,
    }),
    tile("Volatility of the account", percent(data.volatility), { id: "volatility", remark: data.volatility === null ? why.volatility : "a year, as it was" }),
    tile("Tracking error to SPY", percent(against.tracking_error), { id: "tracking_error", remark: against.tracking_error === null ? why["benchmark.tracking_error"] : "a year" }),
    tile("Beta to SPY, as it was", ratio(against.beta), { id: "beta", remark: against.beta === null ? why["benchmark.beta"] : `correlation ${ratio(against.correlation)}` }),
  );
}

function legend() {
  const mark = (name) => {
    const swatch = h("i");
    swatch.style.background = `var(--${name})`;
    return swatch;
  };
  return h("ul", { class: "legend", "aria-label": "Colours" },
    h("li", null, mark("series-own"), "This account"), h("li", null, mark("series-other"), "SPY, dividends reinvested"),
    h("li", null, mark("gain"), "Gain"), h("li", null, mark("loss"), "Loss"));
}

function broken(data) {
  if (data.breaks.length === 0) return null;
  const [first, last] = [data.breaks[0].session, data.breaks.at(-1).session];
  return h("p", { class: "notice notice-warn" }, `On ${counted(data.breaks.length, "day")}, ${day(first)} to ${day(last)}, a return cannot be `
    + "measured, because equity was not above zero or was lost; the return of the account ends there, its value goes on.");
}

function description(data, snapshots) {
  const [first, last] = [snapshots[0], snapshots.at(-1)];
  const total = data.total_return === null ? "" : ` Time-weighted return ${percent(data.total_return, { digits: 2, signed: true })}, `
    + `SPY ${percent(data.benchmark.total_return, { digits: 2, signed: true })}.`;
  return `Lines over ${count(snapshots.length)} days: the value of the account from ${money(first.equity)} USD on ${day(first.session)} `
    + `to ${money(last.equity)} USD on ${day(last.session)}, daily P&L, and return and drawdown beside SPY.${total}`;
}

function plot(colour, snapshots, points, ofFund) {
  const x = snapshots.map((item) => item.session);
  const at = (read) => x.map((session) => (points.has(session) ? read(points.get(session)) : null));
  const line = (name, y, axis, more) => ({ type: "scatter", mode: "lines", name, x, y, yaxis: axis, connectgaps: false, ...more });
  const gains = snapshots.map((item) => Number(item.daily_pnl));
  const ratios = { hovertemplate: "%{y:.4f}" };
  const shares = { hovertemplate: "%{y:.2%}" };
  const own = { color: colour.own, width: 2 };
  const other = { color: colour.other, width: 1.6, dash: "dot" };
  const data = [
    line("Value, USD", snapshots.map((item) => Number(item.equity)), "y", { line: own, hovertemplate: "%{y:,.2f}" }),
    { type: "bar", name: "P&L of the day, USD", x, y: gains, yaxis: "y2", hovertemplate: "%{y:+,.2f}",
      marker: { color: gains.map((gain) => (gain < 0 ? colour.loss : colour.gain)) } },
    line("1 USD became: account", at((point) => point.index), "y3", { line: own, ...ratios }),
    line("1 USD became: SPY", at((point) => point.benchmark_index), "y3", { line: other, ...ratios }),
    line("Drawdown: account", at((point) => point.drawdown), "y4", { line: own, fill: "tozeroy", fillcolor: `${colour.own}33`, ...shares }),
    line("Drawdown: SPY", x.map((session) => ofFund.get(session) ?? null), "y4", { line: other, ...shares }),
  ];
  const title = (text, y) => ({
    text: `<b>${text}</b>`, xref: "paper", yref: "paper", x: 0, xanchor: "left", y, yanchor: "bottom", showarrow: false,
    font: { size: 13, color: colour.ink },
  });
  const rows = [[0.755, 0.965], [0.51, 0.69], [0.26, 0.445], [0.02, 0.195]];
  const titles = ["Value of the account, USD", "P&L of the day, USD", "Growth of 1 USD, beside SPY", "Drawdown from the peak, beside SPY"];
  const domain = (row) => ({ domain: rows[row] });
  return {
    data,
    layout: {
      annotations: titles.map((text, row) => title(text, rows[row][1] + 0.008)),
      hovermode: "x unified", hoversubplots: "axis", margin: { l: 8, r: 8, t: 4, b: 8 },
      xaxis: { type: "date", anchor: "y4", showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "dot", spikecolor: colour.soft, hoverformat: "%-d %b %Y" },
      yaxis: { ...domain(0), side: "right" }, yaxis2: { ...domain(1), side: "right" },
      yaxis3: { ...domain(2), tickformat: ".2f", side: "right" }, yaxis4: { ...domain(3), tickformat: ".1~%", side: "right" },
    },
  };
}

function figures(snapshots, points, ofFund) {
  return {
    caption: "The account day by day, newest first",
    columns: [{ label: "Day" }, { label: "Value, USD", numeric: true }, { label: "P&L, USD", numeric: true },
      { label: "Paid in or out, USD", numeric: true }, { label: "Return", numeric: true }, { label: "1 USD became", numeric: true },
      { label: "in SPY", numeric: true }, { label: "Drawdown", numeric: true }, { label: "of SPY", numeric: true }],
    rows: snapshots.toReversed().map((item) => {
      const point = points.get(item.session);
      return [item.session, money(item.equity), money(item.daily_pnl, { signed: true }),
        Number(item.capital_flow) === 0 ? NONE : money(item.capital_flow, { signed: true }),
        percent(item.daily_return, { digits: 2, signed: true }), ratio(point?.index, { digits: 4 }),
        ratio(point?.benchmark_index, { digits: 4 }), percent(point?.drawdown, { digits: 2 }), percent(ofFund.get(item.session), { digits: 2 })];
    }),
  };
}
