"""The stress test of formulas.md section 7 in plain Python, as fractions: what the results are compared with."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

FUND_OF = {
    "Market": "SPY",
    "Rates": "TLT",
    "Value": "VTV",
    "Growth": "VUG",
    "Momentum": "MTUM",
    "Quality": "QUAL",
    "Size": "IWM",
    "Low Volatility": "USMV",
}
STYLES = tuple(FUND_OF)[2:]

# As the table of formulas.md has them: returns, and of Rates basis points.
SCENARIOS: dict[str, dict[str, float]] = {
    "market_up_5": {"Market": 0.05},
    "market_down_5": {"Market": -0.05},
    "market_up_10": {"Market": 0.10},
    "market_down_10": {"Market": -0.10},
    "market_crash_35": {"Market": -0.35},
    "market_rally_25": {"Market": 0.25},
    "rates_up_25bp": {"Rates": 25},
    "rates_down_25bp": {"Rates": -25},
    "rates_up_50bp": {"Rates": 50},
    "rates_down_50bp": {"Rates": -50},
    "rates_up_100bp": {"Rates": 100},
    "rates_down_100bp": {"Rates": -100},
    "rate_spike_300bp": {"Rates": 300},
    "value_rotation_20": {"Value": 0.20, "Growth": -0.10},
    "growth_rally_15": {"Growth": 0.15, "Momentum": 0.10},
    "small_cap_outperformance_10": {"Size": 0.10},
    "quality_flight_12": {"Quality": 0.12, "Market": -0.05},
    "vix_spike_150": {"Low Volatility": -0.25, "Market": -0.15},
    "liquidity_crisis": {"Market": -0.20, "Low Volatility": -0.30, "Quality": 0.15, "Size": -0.10},
    "financial_crisis_2008": {
        "Market": -0.45,
        "Value": -0.30,
        "Size": -0.25,
        "Quality": 0.20,
        "Low Volatility": -0.35,
    },
    "covid_crash_2020": {"Market": -0.35, "Growth": 0.15, "Value": -0.40, "Size": -0.30, "Quality": 0.10},
    "dotcom_crash_2000": {"Market": -0.45, "Growth": -0.60, "Value": 0.20, "Momentum": -0.50, "Quality": 0.15},
}

Moves = dict[str, Fraction]
Covariance = Mapping[tuple[str, str], Fraction]


def covariance_of(matrix: Any) -> Covariance:
    """By pairs of factors, from rows and columns in the order of ``FUND_OF``."""
    return {
        (one, other): Fraction(float(matrix[row][column]))
        for row, one in enumerate(FUND_OF)
        for column, other in enumerate(FUND_OF)
    }


def fund_return(basis_points: float, duration: str = "16.5", convexity: str = "370") -> Fraction:
    """What a change of yields does to TLT."""
    change = Fraction(basis_points) / 10_000
    return -Fraction(duration) * change + Fraction(convexity) / 2 * change**2


def direct_moves(scenario: Mapping[str, float], covariance: Covariance, **rates: str) -> Moves:
    """The shocks as returns of the factors that are shocked."""
    moves = {factor: Fraction(shock) for factor, shock in scenario.items() if factor != "Rates"}
    if "Rates" in scenario:
        moves["Rates"] = fund_return(scenario["Rates"], **rates)
        if "Market" in scenario:
            moves["Rates"] -= _market_beta("Rates", covariance) * moves["Market"]
    return moves


def correlated_moves(scenario: Mapping[str, float], covariance: Covariance, **rates: str) -> Moves:
    """The same with what is expected of the styles that are not shocked when others are."""
    moves = direct_moves(scenario, covariance, **rates)
    shocked = [style for style in STYLES if style in moves]
    if shocked:
        weights = _solved(
            [[_damped(one, other, covariance) for other in shocked] for one in shocked],
            [moves[style] for style in shocked],
        )
        for style in STYLES:
            if style not in shocked:
                terms = zip(shocked, weights, strict=True)
                moves[style] = sum((_damped(style, other, covariance) * weight for other, weight in terms), Fraction(0))
    return moves


def sensitivity(factor: str, betas: Mapping[str, float], spy: Mapping[str, float]) -> Fraction:
    """Of a symbol with these betas, when SPY has those."""
    beta = Fraction(betas[factor])
    return beta - Fraction(betas["Market"]) * Fraction(spy[factor]) if factor in STYLES else beta


def impact(moves: Moves, betas: Mapping[str, float], spy: Mapping[str, float]) -> Fraction:
    """What the moves do to a symbol, not below the loss of everything."""
    total = sum((sensitivity(factor, betas, spy) * move for factor, move in moves.items()), Fraction(0))
    return max(total, Fraction(-1))


def _market_beta(factor: str, covariance: Covariance) -> Fraction:
    return covariance[factor, "Market"] / covariance["Market", "Market"]


def _damped(one: str, other: str, covariance: Covariance) -> Fraction:
    """Covariance of what two styles do beside the market, damped between different ones."""
    own = covariance[one, other] - _market_beta(one, covariance) * covariance["Market", other]
    return own if one == other else own * Fraction(7, 10)


def _solved(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> list[Fraction]:
    """Solution of linear equations by elimination, exactly."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for pivot, lead in enumerate(rows):
        rows[pivot] = [value / lead[pivot] for value in lead]
        for other, row in enumerate(rows):
            if other != pivot:
                rows[other] = [value - row[pivot] * own for value, own in zip(row, rows[pivot], strict=True)]
    return [row[-1] for row in rows]
