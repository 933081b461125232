// All answers about a portfolio, of one generation: none is shown beside one of another.

import { Problem } from "./api.js";

const ANALYTICS = ["overview", "performance", "factor-exposures", "stress-test", "volatility", "risk", "correlation-matrix",
  "sector-exposure", "concentration"];
// Each publication in the meantime may cost one more try.
const MOST_TRIES = 4;

/** Where the analytics of a portfolio are. */
export function analyticPath(portfolio, name) {
  return `analytics/portfolio/${portfolio.portfolio_id}/${name}`;
}

/**
 * Every answer by its name, `positions` and `snapshots` among them: a function each, which gives it or throws why there
 * is none. `first` is the start of the series, or null for all.
 */
export async function answersOf(api, portfolio, { first = null, signal }) {
  return agreed(async () => {
    const found = await askedOnce(api, portfolio, first, signal);
    signal.throwIfAborted();
    const generations = Object.values(found).flatMap((item) => item.value?.generation ?? []);
    const newest = Math.max(...generations, 0);
    const isOne = generations.every((generation) => generation === newest) && !isNewer(found.snapshots.value, newest);
    return isOne ? givers(found, newest) : null;
  });
}

/** The performance and the snapshots from a date on: `{performance, snapshots}`, of one generation. */
export async function seriesOf(api, portfolio, first, signal) {
  return agreed(async () => {
    const [performance, snapshots] = await Promise.all([
      api.answer(withFirst(analyticPath(portfolio, "performance"), first), { signal }), snapshotsOf(api, portfolio, first, signal)]);
    return isNewer(snapshots, performance.generation) ? null : { performance: performance.document, snapshots: snapshots.items };
  });
}

// What is asked for until it is of one generation; null while it is not.
async function agreed(ask) {
  for (let tried = 1; tried <= MOST_TRIES; tried += 1) {
    const found = await ask();
    if (found !== null) return found;
  }
  throw new Problem(0, "New figures are being published right now. Try again in a moment.");
}

async function askedOnce(api, portfolio, first, signal) {
  const asked = Object.fromEntries(ANALYTICS.map((name) => {
    const path = analyticPath(portfolio, name);
    return [name, api.answer(name === "performance" ? withFirst(path, first) : path, { signal })];
  }));
  asked.positions = api.listing(`portfolios/${portfolio.portfolio_id}/positions`, { signal });
  asked.snapshots = snapshotsOf(api, portfolio, first, signal);
  const settled = await Promise.allSettled(Object.values(asked));
  return Object.fromEntries(Object.keys(asked).map((name, place) => [name, settled[place]]));
}

// Snapshots keep the generation that published them: none may be newer than the answers beside them.
function isNewer(snapshots, generation) {
  return snapshots?.items.some((item) => item.generation > generation) ?? false;
}

function snapshotsOf(api, portfolio, first, signal) {
  return api.listing(withFirst(`portfolios/${portfolio.portfolio_id}/snapshots`, first), { signal });
}

function withFirst(path, first) {
  return first === null ? path : `${path}?from=${first}`;
}

function givers(found, generation) {
  const given = Object.fromEntries(Object.entries(found).map(([name, item]) => [name, () => {
    if (item.status === "rejected") throw item.reason;
    return item.value.items ?? item.value.document;
  }]));
  return { ...given, generation };
}
