"""Stress answers computed from the tables in plain Python: what the route is compared with."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from tests.api.oracle import Window, held_values, newest_betas
from tests.quant.stress_oracle import (
    FUND_OF,
    Covariance,
    Moves,
    correlated_moves,
    direct_moves,
    impact,
    sensitivity,
)

FACTOR_OF = {name: name for name in FUND_OF} | {"Market": "Market Beta", "Rates": "IR Beta"}


@dataclass(frozen=True)
class ExpectedImpact:
    """Of one scenario: dollars, moves and effects by factor name, and who is floored."""

    direct: Fraction
    correlated: Fraction
    shocks: dict[str, Fraction]
    effects: dict[str, Fraction]
    floored: list[str]


@dataclass(frozen=True)
class StressedBook:
    """Values and betas of the PUBLIC positions with all eight, the betas of SPY, the covariance and the rest."""

    values: dict[str, Fraction]
    betas: dict[str, dict[str, float]]
    spy: dict[str, float]
    covariance: Covariance
    coverage: float

    def impact(self, scenario: dict[str, float]) -> ExpectedImpact:
        direct, correlated = (moves(scenario, self.covariance) for moves in (direct_moves, correlated_moves))
        return ExpectedImpact(
            direct=self._sum(direct),
            correlated=self._sum(correlated),
            shocks={FACTOR_OF[factor]: move for factor, move in correlated.items()},
            effects={FACTOR_OF[factor]: self._effect(factor, move) for factor, move in correlated.items()},
            floored=sorted(symbol for symbol in self.values if self._impact(symbol, correlated) == -1),
        )

    def _impact(self, symbol: str, moves: Moves) -> Fraction:
        return impact(moves, self.betas[symbol], self.spy)

    def _sum(self, moves: Moves) -> Fraction:
        return sum((value * self._impact(symbol, moves) for symbol, value in self.values.items()), Fraction(0))

    def _effect(self, factor: str, move: Fraction) -> Fraction:
        parts = (value * sensitivity(factor, self.betas[symbol], self.spy) for symbol, value in self.values.items())
        return move * sum(parts, Fraction(0))


def stressed_book(database: Database, portfolio: UUID, *, oldest: date, as_of: date) -> StressedBook:
    """The book of a portfolio at the newest figures between the two sessions."""
    window = Window(oldest, as_of)
    with database.begin() as connection:
        values = held_values(connection, portfolio, window)
        held = {symbol: value for (kind, symbol), value in values.items() if kind == "PUBLIC"}
        betas: dict[str, dict[str, float]] = {symbol: {} for symbol in {*held, "SPY"}}
        for factor, name in FACTOR_OF.items():
            for symbol, beta in newest_betas(connection, name, betas, window).items():
                betas[symbol][factor] = beta
        covariance = _covariance(connection, window)
    complete = {symbol: value for symbol, value in held.items() if len(betas[symbol]) == len(FUND_OF)}
    gross = sum(abs(value) for value in held.values())
    return StressedBook(
        values=complete,
        betas=betas,
        spy=betas["SPY"],
        covariance=covariance,
        coverage=float(sum(abs(value) for value in complete.values()) / gross),
    )


def _covariance(connection: sa.Connection, window: Window) -> Covariance:
    row: Any = connection.execute(
        sa.text(
            "SELECT * FROM factor_covariances WHERE session BETWEEN :oldest AND :as_of ORDER BY session DESC LIMIT 1"
        ),
        window.parameters,
    ).one()
    factor_of = {fund: factor for factor, fund in FUND_OF.items()}
    names = [factor_of[fund] for fund in row.factors]
    pairs = [(one, other) for one in names for other in names]
    return dict(zip(pairs, map(Fraction, row.covariance), strict=True))
