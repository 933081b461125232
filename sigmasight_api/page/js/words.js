// Sentences for the codes that the API gives as reasons.

const LEFT_OUT = {
  no_price: "has no published price of the last five sessions",
  short_history: "has too short a price history",
  constant: "has a price that does not move",
  no_exposures: "has no factor figures of the last five sessions",
  options: "is an option: options have no factor exposures",
  private: "is a private asset: these have no factor exposures",
  no_valuation: "has not been valued by its owner",
  no_spy_betas: "cannot be read against the market: SPY lacks its betas",
};

const MISSING = {
  no_positions: "there are no listed positions",
  no_price: "no position has a published price of the last five sessions",
  short_history: "the history is too short",
  equity_not_positive: "equity is not above zero, so there is nothing to relate it to",
  no_snapshot: "there is no snapshot yet: it comes with the next recomputation",
  base_not_positive: "on some days equity was not above zero, and the chain of returns is broken there",
  nothing_left: "everything was lost before the end of the series",
  beyond_measure: "the numbers grow beyond what can be measured",
  no_benchmark: "SPY has no price on these days",
  no_variation: "a series does not vary",
  single_position: "one position alone has no pairs",
  different_sessions: "the newest snapshots are of different sessions",
};

const RATIOS = {
  no_snapshot: "This portfolio has no snapshot yet, so shares of equity are missing; amounts in dollars are given.",
  equity_not_positive: "Equity is not above zero, so shares of equity do not exist; amounts in dollars are given.",
  different_sessions: "The newest snapshots are of different sessions, so shares of equity are missing.",
};

/** Why a symbol is in no number, as the rest of a sentence that begins with it. */
export function leftOut(reason) {
  return LEFT_OUT[reason] ?? reason.replaceAll("_", " ");
}

/** Why a number is missing; `{reason, observations, needed}` as in an answer's `missing`. */
export function missing({ reason, observations, needed }) {
  const words = MISSING[reason] ?? reason.replaceAll("_", " ");
  return needed === null || needed === undefined ? words : `${words}: ${observations} of ${needed} days`;
}

/** Why ratios to equity are missing, as a sentence. */
export function ratiosReason(reason) {
  return RATIOS[reason] ?? MISSING[reason] ?? reason.replaceAll("_", " ");
}
