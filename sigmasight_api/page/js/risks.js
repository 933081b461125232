// What the portfolio is exposed to: factors, scenarios, correlations, sectors, concentration, volatility and tail risk.

import { h } from "./dom.js";
import { figure } from "./charts.js";
import { NONE, count, counted, day, money, percent, ratio, sign } from "./format.js";
import { tile, tiles } from "./panel.js";
import { leftOut, missing } from "./words.js";

// Normal quantile of a two-sided 95 % interval.
const Z_95 = 1.96;
// From here on factors count as repeating each other (docs/formulas/collinearity.md).
const STRONG_COLLINEARITY = 30;
const ROW = 30;
const ROOM = 56;
// Texts beside the longest bars reach past the plot.
const BESIDE = { l: 8, r: 46, t: 8, b: 8 };
// Past this many symbols a number in each cell of the heatmap cannot be read.
const MOST_LABELLED = 12;
const MOST_NAMED = 30;

function noneHeld(answer) {
  return answer.coverage === null && answer.excluded.length === 0;
}

const NOTHING_HELD = "There are no positions in this portfolio yet, so there is nothing to measure.";

/** The twelve exposures as bars, with their 95 % intervals and coverage. */
export async function drawExposures(panel, answer) {
  if (noneHeld(answer)) {
    panel.empty(NOTHING_HELD);
    return;
  }
  if (answer.coverage === null) {
    panel.empty("Nothing listed is held that could be measured: options and private assets have no factor exposures.");
    panel.account(answer);
    return;
  }
  const { factors, collinearity, provider_beta: vendor } = answer.data;
  const isOfEquity = factors.some((factor) => factor.exposure !== null);
  const value = (factor) => (isOfEquity ? factor.exposure : dollars(factor));
  if (!factors.some((factor) => value(factor) !== null)) {
    panel.empty("No position has factor figures yet. They come with the next published market day.");
    panel.account(answer);
    return;
  }
  const shown = figure({
    id: "plot-exposures", height: factors.length * ROW + ROOM,
    describe: `Bars of ${factors.length} exposures: ${factors.map((item) => `${item.name} ${isOfEquity ? ratio(item.exposure) : money(item.dollars)}`).join(", ")}.`,
    plot: (colour) => exposuresPlot(colour, factors, value, isOfEquity),
    figures: () => exposuresFigures(factors),
  });
  panel.show(
    h("p", { class: "lead" }, isOfEquity
      ? "How much of 1 % in a factor arrives in the account, in percent. Whiskers: 95 % interval of the estimate; the six styles, estimated together, have none."
      : "In dollars for a move of 100 %, because there is no equity to relate them to."),
    shown.element, h("p", { class: "hint" }, ...remarks(collinearity, vendor)));
  panel.account(answer);
  await shown.draw();
}

function dollars(factor) {
  return factor.dollars === null ? null : Number(factor.dollars);
}

function interval(factor) {
  return factor.std_err === null || factor.std_err === undefined ? null : Z_95 * factor.std_err;
}

function remarks(collinearity, vendor) {
  const said = [];
  if (vendor.exposure !== null) said.push(`By the data vendor's betas, market beta is ${ratio(vendor.exposure)}. `);
  if (collinearity.condition_number === null || collinearity.condition_number > STRONG_COLLINEARITY) {
    said.push(`The six style funds repeat each other${collinearity.condition_number === null ? "" : ` (condition number ${ratio(collinearity.condition_number, { digits: 0 })})`}: read single styles with care. `);
  }
  return said;
}

function exposuresPlot(colour, factors, value, isOfEquity) {
  const names = factors.map((factor) => factor.name);
  const errors = factors.map((factor) => (isOfEquity ? interval(factor) : null));
  const values = factors.map(value);
  const note = (factor) => (factor.coverage !== null && factor.coverage !== undefined && factor.coverage < 0.9995 ? `  ${percent(factor.coverage, { digits: 0 })} covered` : "");
  return {
    data: [{
      type: "bar", orientation: "h", y: names, x: values, cliponaxis: false,
      text: factors.map((factor, place) => (values[place] === null ? "not known" : "") + note(factor)),
      textposition: "outside", textfont: { color: colour.soft, size: 11 },
      marker: { color: names.map((_, place) => (place < 2 ? colour.own : place < 8 ? colour.third : colour.other)) },
      // What is no number has no whisker; null would be one of length 0.
      error_x: { type: "data", array: errors.map((error) => error ?? NaN), color: colour.ink, thickness: 1.4, width: 4 },
      customdata: errors.map((error) => (error === null ? "no interval" : `± ${ratio(error)}`)),
      hovertemplate: `%{y}: %{x:${isOfEquity ? ".4f" : ",.2f"}} (%{customdata})<extra></extra>`,
    }],
    layout: {
      margin: BESIDE, yaxis: { autorange: "reversed", ticksuffix: " " }, bargap: 0.35,
      xaxis: { title: { text: isOfEquity ? "exposure, per unit of equity" : "USD" }, zeroline: true, tickformat: isOfEquity ? ".2~f" : undefined, nticks: 7 },
    },
  };
}

function exposuresFigures(factors) {
  return {
    caption: "Exposure to each factor",
    columns: [{ label: "Factor" }, { label: "Exposure", numeric: true }, { label: "Standard error", numeric: true },
      { label: "95 % interval", numeric: true }, { label: "USD", numeric: true }, { label: "Per invested dollar", numeric: true },
      { label: "Covered", numeric: true }],
    rows: factors.map((factor) => {
      const reach = interval(factor);
      return [factor.name, ratio(factor.exposure, { digits: 4 }), ratio(factor.std_err, { digits: 4 }),
        reach === null || factor.exposure === null ? NONE : `${ratio(factor.exposure - reach)} to ${ratio(factor.exposure + reach)}`,
        money(factor.dollars), ratio(factor.per_invested, { digits: 4 }), percent(factor.coverage)];
    }),
  };
}

/** Scenarios by what they would cost, worst first. */
export async function drawStress(panel, answer) {
  if (noneHeld(answer)) {
    panel.empty(NOTHING_HELD);
    return;
  }
  const scenarios = answer.data.scenarios.filter((item) => item.correlated !== null)
    .sort((one, other) => Number(one.correlated) - Number(other.correlated));
  const unknown = answer.data.scenarios.filter((item) => item.correlated === null);
  if (scenarios.length === 0) {
    panel.empty("No scenario can be computed: it takes listed positions with factor figures.");
    panel.account(answer);
    return;
  }
  const worst = scenarios[0];
  const shown = figure({
    id: "plot-stress", height: scenarios.length * (isNarrow() ? 36 : 27) + ROOM,
    describe: `Bars of ${scenarios.length} scenarios, worst first: ${worst.name} ${money(worst.correlated)} USD, to ${scenarios.at(-1).name} ${money(scenarios.at(-1).correlated, { signed: true })} USD.`,
    plot: (colour) => stressPlot(colour, scenarios),
    figures: () => stressFigures([...scenarios, ...unknown]),
  });
  const beyond = scenarios.filter((item) => item.is_beyond_equity);
  panel.show(
    h("p", { class: "lead" }, "What each scenario would do to the account. Bars: with what usually moves along; diamonds: the named shocks alone."),
    beyond.length ? h("p", { class: "notice notice-warn" }, `${counted(beyond.length, "scenario")} would cost more than the whole equity.`) : null,
    shown.element,
    unknown.length ? h("p", { class: "hint" }, `Not known: ${unknown.map((item) => `${item.name} (${leftOut(item.reason ?? "")})`).join(", ")}.`) : null);
  panel.account(answer);
  await shown.draw();
}

function stressPlot(colour, scenarios) {
  const names = scenarios.map((item) => item.name);
  const amounts = scenarios.map((item) => Number(item.correlated));
  const alone = scenarios.map((item) => Number(item.direct));
  const beside = (text, y, color) => ({
    text, xref: "paper", x: 1, xanchor: "left", xshift: 6, yref: "y", y, showarrow: false, font: { size: 11, color },
  });
  const shares = scenarios.filter((item) => item.share_of_equity !== null)
    .map((item) => beside(percent(item.share_of_equity, { signed: true }), item.name, colour.ink));
  const head = shares.length ? [{ ...beside("of equity", 1, colour.soft), yref: "paper", yanchor: "bottom" }] : [];
  const narrow = isNarrow() ? namesAbove(names, colour) : { annotations: [], yaxis: {} };
  return {
    data: [
      { type: "bar", orientation: "h", y: names, x: amounts, marker: { color: amounts.map((amount) => (amount < 0 ? colour.loss : colour.gain)) },
        hovertemplate: "%{y}<br>with what moves along: %{x:+,.2f} USD<extra></extra>" },
      { type: "scatter", mode: "markers", y: names, x: alone, cliponaxis: false,
        marker: { symbol: "diamond", size: 8, color: colour.surface, line: { color: colour.ink, width: 1.5 } },
        hovertemplate: "%{y}<br>named shocks alone: %{x:+,.2f} USD<extra></extra>" },
    ],
    layout: {
      annotations: [...shares, ...head, ...narrow.annotations], margin: { l: 8, r: 62, t: 20, b: 8 }, bargap: isNarrow() ? 0.62 : 0.35,
      yaxis: { autorange: "reversed", ticksuffix: " ", ...narrow.yaxis }, xaxis: { title: { text: "USD" }, nticks: isNarrow() ? 4 : 6, tickangle: 0 },
    },
  };
}

// Plots read names as markup of their own.
function plainText(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function isNarrow() {
  return matchMedia("(max-width: 620px)").matches;
}

// Where names beside the bars would leave them no room, they stand above them.
function namesAbove(names, colour) {
  return {
    yaxis: { showticklabels: false },
    annotations: names.map((name) => ({
      text: name, xref: "paper", x: 0, xanchor: "left", yref: "y", y: name, yanchor: "bottom", yshift: 4, showarrow: false, font: { size: 11, color: colour.ink },
    })),
  };
}

// The extremes, with room for the texts beside the bars.
function reach(values) {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const room = (high - low || 1) * 0.18;
  return [low < 0 ? low - room : 0, high > 0 ? high + room : 0];
}

function stressFigures(scenarios) {
  return {
    caption: "Scenarios, worst first",
    columns: [{ label: "Scenario" }, { label: "With what moves along, USD", numeric: true }, { label: "Of equity", numeric: true },
      { label: "Named shocks alone, USD", numeric: true }, { label: "Kind" }, { label: "Severity" }],
    rows: scenarios.map((item) => [item.name, money(item.correlated, { signed: true }), percent(item.share_of_equity, { digits: 2, signed: true }),
      money(item.direct, { signed: true }), item.category.replaceAll("_", " "), item.severity]),
  };
}

/** Correlations of the largest positions as a heatmap. */
export async function drawCorrelations(panel, answer) {
  const { data } = answer;
  if (data.symbols.length < 2) {
    panel.empty(data.symbols.length === 0 ? "There are no listed positions with a price history." : `${data.symbols[0]} is the only listed position: a correlation takes two.`);
    panel.account(answer);
    return;
  }
  const size = data.symbols.length;
  const shown = figure({
    id: "plot-correlation", height: Math.min(700, Math.max(320, size * 17 + 110)),
    describe: `Heatmap of the correlations of ${size} symbols over ${data.sessions} sessions; mean ${ratio(data.mean_correlation)}.`,
    plot: (colour) => correlationPlot(colour, data),
    figures: () => correlationFigures(data),
  });
  panel.show(tiles(
    tile("Mean correlation", ratio(data.mean_correlation), { id: "mean_correlation" }),
    tile("Diversification ratio", ratio(data.diversification_ratio), { id: "diversification_ratio", remark: "1: none" }),
    tile("Effective bets", ratio(data.effective_bets, { digits: 1 }), { id: "effective_bets", remark: `of ${size}` }),
  ), shown.element, data.symbols_not_shown ? h("p", { class: "hint" }, `The ${size} largest; ${counted(data.symbols_not_shown, "smaller position")} not shown.`) : null);
  panel.account(answer);
  await shown.draw();
}

function correlationPlot(colour, data) {
  const size = data.symbols.length;
  const small = size <= MOST_LABELLED;
  const names = size > MOST_NAMED || isNarrow() ? 7 : 9;
  return {
    data: [{
      type: "heatmap", x: data.symbols, y: data.symbols, z: data.matrix, zmin: -1, zmax: 1, xgap: 1, ygap: 1, hoverongaps: false,
      colorscale: [[0, colour.low], [0.5, colour.middle], [1, colour.high]],
      colorbar: { thickness: 10, outlinewidth: 0, tickvals: [-1, -0.5, 0, 0.5, 1], ticktext: ["−1", "−0.5", "0", "0.5", "1"], tickfont: { color: colour.soft } },
      text: data.matrix.map((row) => row.map((value) => ratio(value))), texttemplate: small ? "%{text}" : "", textfont: { size: 10 },
      hovertemplate: "%{x} and %{y}: %{z:.4f}<extra></extra>",
    }],
    layout: {
      xaxis: { side: "top", tickangle: size > MOST_NAMED ? -90 : -60, tickfont: { color: colour.soft, size: small ? 11 : names }, type: "category", dtick: isNarrow() ? Math.ceil(size / 20) : 1, showgrid: false },
      yaxis: { autorange: "reversed", tickfont: { color: colour.soft, size: small ? 11 : names }, type: "category", dtick: 1, showgrid: false, ticksuffix: " " },
    },
  };
}

function correlationFigures(data) {
  return {
    caption: `Correlations, ${data.first_session} to ${data.last_session}`,
    columns: [{ label: "Symbol" }, ...data.symbols.map((symbol) => ({ label: symbol, numeric: true }))],
    rows: data.symbols.map((symbol, row) => [symbol, ...data.matrix[row].map((value) => ratio(value, { digits: 4 }))]),
  };
}

/** What is held by sector, long and short. */
export async function drawSectors(panel, answer) {
  const { sectors } = answer.data;
  if (sectors.length === 0) {
    panel.empty(noneHeld(answer) ? NOTHING_HELD : "No position has a value yet.");
    panel.account(answer, "the positions");
    return;
  }
  const shown = figure({
    id: "plot-sectors", height: sectors.length * ROW + ROOM,
    describe: `Bars of ${sectors.length} sectors, largest first: ${sectors.map((item) => `${item.sector} ${percent(item.gross_share)}`).join(", ")} of what is invested.`,
    plot: (colour) => sectorsPlot(colour, sectors),
    figures: () => ({
      caption: "Sectors, largest first",
      columns: [{ label: "Sector" }, { label: "Share", numeric: true, title: "of all that is invested, long and short" },
        { label: "Long, USD", numeric: true }, { label: "Short, USD", numeric: true }, { label: "Net, USD", numeric: true },
        { label: "Net of equity", numeric: true }, { label: "Positions", numeric: true }],
      rows: sectors.map((item) => [item.sector, percent(item.gross_share), money(item.long), money(item.short), money(item.net),
        percent(item.net_share_of_equity), count(item.positions)]),
    }),
  });
  panel.show(h("p", { class: "lead" }, "Invested by sector; the number beside a bar is its share of everything invested, long and short."), shown.element);
  panel.account(answer, "the positions");
  await shown.draw();
}

function sectorsPlot(colour, sectors) {
  const names = sectors.map((item) => item.sector);
  const hasShort = sectors.some((item) => sign(item.short) < 0);
  const longs = sectors.map((item) => Number(item.long));
  const shorts = sectors.map((item) => Number(item.short));
  const share = (item, isLong) => ((isLong === (sign(item.long) > 0)) ? percent(item.gross_share) : "");
  const bar = (x, color, name, isLong) => ({
    type: "bar", orientation: "h", y: names, x, marker: { color }, text: sectors.map((item) => share(item, isLong)), cliponaxis: false,
    textposition: "outside", textfont: { color: colour.soft, size: 11 }, hovertemplate: `%{y}, ${name}: %{x:,.2f} USD<extra></extra>`,
  });
  return {
    data: [bar(longs, colour.own, "long", true), ...(hasShort ? [bar(shorts, colour.other, "short", false)] : [])],
    layout: {
      margin: BESIDE, barmode: "relative", bargap: 0.35, yaxis: { autorange: "reversed", ticksuffix: " " },
      xaxis: { title: { text: hasShort ? "USD; short to the left" : "USD" }, nticks: isNarrow() ? 4 : 7, tickangle: 0, range: reach([...longs, ...shorts]) },
    },
  };
}

/** How much hangs on few positions. */
export async function drawConcentration(panel, answer) {
  const { data } = answer;
  if (data.largest.length === 0) {
    panel.empty(noneHeld(answer) ? NOTHING_HELD : "No position has a value yet.");
    panel.account(answer, "the positions");
    return;
  }
  const shown = figure({
    id: "plot-concentration", height: data.largest.length * ROW + ROOM,
    describe: `Bars of the ${data.largest.length} largest positions: ${data.largest.map((item) => `${item.symbol} ${percent(item.weight)}`).join(", ")}.`,
    plot: (colour) => ({
      data: [{
        type: "bar", orientation: "h", y: data.largest.map((item) => plainText(item.symbol)), x: data.largest.map((item) => item.weight),
        marker: { color: data.largest.map((item) => (sign(item.market_value) < 0 ? colour.other : colour.own)) }, cliponaxis: false,
        text: data.largest.map((item) => percent(item.weight)), textposition: "outside", textfont: { color: colour.soft, size: 11 },
        hovertemplate: "%{y}: %{x:.2%}<extra></extra>",
      }],
      layout: { margin: BESIDE, bargap: 0.35, yaxis: { autorange: "reversed", type: "category", ticksuffix: " " },
        xaxis: { title: { text: "share of everything invested" }, tickformat: ".2~%", nticks: isNarrow() ? 3 : 6, tickangle: 0, range: reach(data.largest.map((item) => item.weight)) } },
    }),
    figures: () => ({
      caption: "The largest positions",
      columns: [{ label: "Position" }, { label: "Value, USD", numeric: true }, { label: "Share", numeric: true }],
      rows: data.largest.map((item) => [item.symbol, money(item.market_value), percent(item.weight, { digits: 2 })]),
    }),
  });
  panel.show(tiles(
    tile("Effective positions", ratio(data.effective_positions, { digits: 1 }), { id: "effective_positions", remark: `of ${data.positions}` }),
    tile("Largest three", percent(data.top_3), { id: "top_3" }),
    tile("Largest ten", percent(data.top_10), { id: "top_10" }),
    tile("Herfindahl index", count(Math.round(data.herfindahl)), { id: "herfindahl", remark: "10,000: one position" }),
  ), shown.element);
  panel.account(answer, "the positions");
  await shown.draw();
}

/** What the positions as they are now would have done: volatility, and what one day can cost. */
export async function drawRisk(panel, volatility, risk) {
  const why = Object.fromEntries([...volatility.data.missing, ...risk.data.missing].map((item) => [item.name, missing(item)]));
  if (volatility.data.series.observations === 0) {
    panel.empty("There are no listed positions with a price history yet, so there is nothing to measure.");
    panel.account(risk);
    return;
  }
  const { realized_21: month, realized_63: quarter, expected_21: expected, trend, percentile } = volatility.data;
  const loss = (name) => {
    const found = risk.data[name];
    return { text: found ? money(found.dollars) : NONE, remark: found ? lossRemark(found) : why[name] };
  };
  const losses = [["value_at_risk_95", "Value at risk, 95 %"], ["value_at_risk_99", "Value at risk, 99 %"],
    ["expected_shortfall_95", "Expected shortfall, 95 %"], ["expected_shortfall_99", "Expected shortfall, 99 %"]];
  const drawnPlot = figure({
    id: "plot-volatility", height: 190,
    describe: `Bars of annual volatility: last month ${percent(month)}, last quarter ${percent(quarter)}, expected ${percent(expected)}.`,
    plot: (colour) => volatilityPlot(colour, [["Last 63 days", quarter], ["Last 21 days", month], ["Next 21 days, expected", expected]]),
    figures: () => ({
      caption: "Volatility and losses of one day",
      columns: [{ label: "Number" }, { label: "Value", numeric: true }, { label: "Of equity", numeric: true }],
      rows: [["Volatility, last 63 days", NONE, percent(quarter, { digits: 2 })], ["Volatility, last 21 days", NONE, percent(month, { digits: 2 })],
        ["Volatility, expected for 21 days", NONE, percent(expected, { digits: 2 })],
        ...losses.map(([name, label]) => [label, money(risk.data[name]?.dollars), percent(risk.data[name]?.share_of_equity, { digits: 2 })])],
    }),
  });
  const direction = trend === null ? "" : `Volatility is ${trend}${percentile === null ? "" : `; it was lower on ${percent(percentile, { digits: 0 })} of the days of a year`}. `;
  panel.show(
    h("p", { class: "lead" }, `${direction}What today's positions would have done over the last ${count(risk.data.series.observations || volatility.data.series.observations)} days${risk.data.series.weights_basis === "entry_prices" ? ", by their entry prices and the stated equity until there is a snapshot" : ""}.`),
    drawnPlot.element,
    tiles(losses.map(([name, label]) => tile(label, loss(name).text, { id: name, remark: loss(name).remark }))),
    lacking(volatility.data.missing));
  panel.account(risk);
  await drawnPlot.draw();
}

const NUMBERS = {
  realized_21: "volatility of the last 21 days", realized_63: "volatility of the last 63 days", expected_21: "expected volatility",
  trend: "the trend", trend_slope: "the trend", percentile: "its place within a year",
};

function lacking(found) {
  if (found.length === 0) return null;
  const said = new Set(found.map((item) => `${NUMBERS[item.name] ?? item.name}, because ${missing(item)}`));
  return h("p", { class: "hint" }, `Missing: ${[...said].join("; ")}.`);
}

function lossRemark(found) {
  return found.share_of_equity === null ? "USD, in one day" : `USD in one day · ${percent(found.share_of_equity, { digits: 2 })} of equity`;
}

function volatilityPlot(colour, bars) {
  return {
    data: [{
      type: "bar", orientation: "h", y: bars.map(([name]) => name), x: bars.map(([, value]) => value), cliponaxis: false,
      marker: { color: bars.map((_, place) => (place === 2 ? colour.third : colour.own)) }, text: bars.map(([, value]) => (value === null ? "not known" : percent(value))),
      textposition: "outside", textfont: { color: colour.soft, size: 11 }, hovertemplate: "%{y}: %{x:.2%}<extra></extra>",
    }],
    layout: { margin: BESIDE, bargap: 0.35, yaxis: { autorange: "reversed", ticksuffix: " " },
      xaxis: { title: { text: "annual volatility, share of equity" }, tickformat: ".2~%", nticks: isNarrow() ? 3 : 6, tickangle: 0, range: reach(bars.map(([, value]) => value ?? 0)) } },
  };
}

/** The sessions an answer speaks of, for the head of the page. */
export function asOf(answer) {
  return answer.as_of ? `Market of ${day(answer.as_of)}` : "No market day is published yet";
}
