"""Random sequences of edits over HTTP leave the lots that plain bookkeeping does."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_split, add_token
from tests.api.writing import PORTFOLIOS, POSITIONS, open_book, publish_market, send

NAMES = count()
SPLIT, RATIO = SESSIONS[5], Fraction(3, 2)
DAYS = st.sampled_from(SESSIONS)
QUANTITIES = st.integers(-60, 60).filter(bool).map(lambda halves: Decimal(halves) / 2)
PLACES = st.integers(0, 5)
EDITS = st.one_of(
    st.tuples(st.just("add"), PLACES, QUANTITIES, DAYS),
    st.tuples(st.just("close"), PLACES, QUANTITIES.map(abs), DAYS),
    st.tuples(st.just("state"), PLACES, QUANTITIES, DAYS),
    st.tuples(st.just("move"), PLACES, QUANTITIES, DAYS),
    st.tuples(st.just("end"), PLACES, QUANTITIES, DAYS),
    st.tuples(st.just("open"), PLACES, QUANTITIES, DAYS),
    st.tuples(st.just("delete"), PLACES, QUANTITIES, DAYS),
)


@dataclass(frozen=True)
class Lot:
    """What is known of a lot."""

    quantity: Decimal
    entry: date
    exit: date | None = None
    units: date | None = None

    def shares_at(self, day: date) -> Fraction:
        """The quantity, without its sign, in the units of a day."""
        stated = self.units or self.entry
        shares = Fraction(abs(self.quantity))
        if stated < SPLIT <= day:
            return shares * RATIO
        return shares / RATIO if day < SPLIT <= stated else shares


class Bookkeeping:
    """Lots by id, kept as a person would."""

    def __init__(self) -> None:
        self.lots: dict[str, Lot] = {}

    def close(self, key: str, quantity: Decimal, day: date) -> Lot | None:
        """Close so much; the part when one is split off. ``ValueError`` when that cannot be."""
        lot = self.lots[key]
        held = lot.shares_at(day)
        if lot.exit is not None or day < lot.entry or quantity > held:
            raise ValueError(lot)
        if quantity == held:
            self.lots[key] = replace(lot, exit=day)
            return None
        if (held * 10_000).denominator != 1:
            raise ValueError(lot)
        sign = 1 if lot.quantity > 0 else -1
        units = day if held != abs(lot.quantity) else lot.units
        left = Decimal((held - Fraction(quantity)).numerator) / (held - Fraction(quantity)).denominator
        self.lots[key] = replace(lot, quantity=sign * left, units=units)
        return replace(lot, quantity=sign * quantity, units=units, exit=day)


@pytest.fixture
def market(api: Api, database: Database) -> Database:
    add_split(database, "AAA", SPLIT, (RATIO.numerator, RATIO.denominator), generation=1)
    publish_market(api, database)
    return database


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(EDITS, max_size=14))
def test_edits_leave_what_bookkeeping_does(
    api: Api, market: Database, edits: list[tuple[str, int, Decimal, date]]
) -> None:
    token = add_token(market, f"user {next(NAMES)}")
    portfolio = open_book(api, token)
    books = Bookkeeping()
    for kind, place, quantity, day in edits:
        key = list(books.lots)[place] if place < len(books.lots) else None
        if kind == "add" or key is not None:
            _edit(api, token, portfolio, books, kind=kind, key=key or "", quantity=quantity, day=day)
    found = api.get(f"{PORTFOLIOS}/{portfolio}/positions?all=true&limit=1000", token).json()["items"]
    assert {
        item["position_id"]: (Decimal(item["quantity"]), item["entry_date"], item["exit_date"], item["units_date"])
        for item in found
    } == {
        key: (lot.quantity, str(lot.entry), str(lot.exit) if lot.exit else None, str(lot.units or lot.entry))
        for key, lot in books.lots.items()
    }


def _edit(
    api: Api, token: str, portfolio: str, books: Bookkeeping, *, kind: str, key: str, quantity: Decimal, day: date
) -> None:
    """Do it both ways; what bookkeeping refuses the API refuses too."""
    path, lots = f"{POSITIONS}/{key}", books.lots
    ended = {"exit_date": str(day), "exit_price": 1}
    if kind == "add":
        body = {"symbol": "AAA", "quantity": str(quantity), "entry_price": 1, "entry_date": str(day)}
        made = api.post(POSITIONS, token, json={**body, "portfolio_id": portfolio}).json()
        lots[made["position_id"]] = Lot(quantity, day)
    elif kind == "delete":
        assert send(api, "DELETE", path, token).status_code == 204
        del lots[key]
    elif kind == "close":
        answer = send(api, "PATCH", path, token, json={**ended, "close_quantity": str(quantity)})
        try:
            part = books.close(key, quantity, day)
        except ValueError:
            assert answer.status_code == 422
        else:
            told = answer.json()["closed_part"]
            assert (told is None) == (part is None)
            if part is not None:
                lots[told["position_id"]] = part
    else:
        changes: dict[str, dict[str, Any]] = {
            "state": {"quantity": str(quantity)},
            "move": {"entry_date": str(day)},
            "end": ended,
            "open": {"exit_date": None, "exit_price": None},
        }
        _correct(api, token, lots, key, changes[kind])


def _correct(api: Api, token: str, lots: dict[str, Lot], key: str, changes: dict[str, Any]) -> None:
    lot = lots[key]
    if "quantity" in changes:
        lot = replace(lot, quantity=Decimal(changes["quantity"]))
    if "entry_date" in changes:
        lot = replace(lot, entry=date.fromisoformat(changes["entry_date"]))
    if "exit_date" in changes:
        lot = replace(lot, exit=date.fromisoformat(changes["exit_date"]) if changes["exit_date"] else None)
    is_right = lot.entry <= min(lot.exit or date.max, lot.units or date.max)
    answer = send(api, "PATCH", f"{POSITIONS}/{key}", token, json=changes)
    assert answer.status_code == (200 if is_right else 422)
    if is_right:
        lots[key] = replace(lot, units=None if lot.units == lot.entry else lot.units)
