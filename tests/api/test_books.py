"""Tests of lots and holdings: exact sums, ends of options, valuations, and a memory that is bounded and never old."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_api.books import BookVersion, Holdings, HoldingsCache, Lot, expiry_of, holdings_of
from tests.api.handmade import BOUGHT, holdings, lot, private

EARLY, LATE = date(2025, 1, 6), date(2025, 7, 1)
CALL = "AAPL250718C00150000"
EXPIRY = date(2025, 7, 18)


def test_quantities_are_exact_integers() -> None:
    huge = [lot("BBB", "99999999999999.9999") for _ in range(1000)]
    held = holdings_of([*huge, lot("AAA", "0.0001")]).shares
    assert held.symbols == ("AAA", "BBB")
    assert held.quantities == (1, 999999999999999999000)


def test_lots_are_summed_per_symbol_and_units_date() -> None:
    lots = [lot("BBB", 4, units_date=LATE), lot("AAA", 1), lot("BBB", 2), lot("BBB", -1, units_date=LATE)]
    held = holdings_of(lots).shares
    assert list(zip(held.symbols, held.units_dates.tolist(), held.quantities, strict=True)) == [
        ("AAA", EARLY, 10_000),
        ("BBB", EARLY, 20_000),
        ("BBB", LATE, 30_000),
    ]


def test_only_lots_of_the_same_units_cancel_before_splits_are_known() -> None:
    held = holdings_of([lot("AAA", 1), lot("AAA", -1), lot("BBB", 1), lot("BBB", -1, units_date=LATE)])
    assert held.shares.symbols == ("BBB", "BBB")


def test_entry_costs_are_exact_and_kept_by_the_dates_that_splits_may_lie_between() -> None:
    lots = [
        lot("AAA", "99999999999999.9999", entry_price=Decimal("9999999999.9999")),
        lot("AAA", "-0.0001", entry_price=Decimal("0.0001")),
        lot("AAA", 2, units_date=LATE),
        lot("AAA", -2, units_date=LATE, entry_date=LATE, entry_price=Decimal("12.5")),
        private("AAA"),
        lot(CALL, 3, "OPTIONS"),
    ]
    assert sorted(holdings_of(lots).shares.costs) == [
        ("AAA", EARLY, EARLY, 999999999999999999 * 99999999999999 - 1),
        ("AAA", LATE, EARLY, 20 * 10**8),
        ("AAA", LATE, LATE, -25 * 10**8),
    ]


def test_other_classes_are_kept_apart() -> None:
    held = holdings({"AAA": 1}, private("HOUSE"), lot(CALL, -2, "OPTIONS"))
    assert [item.symbol for item in held.private] == ["HOUSE"]
    assert [(item.symbol, item.units, item.multiplier) for item in held.options] == [(CALL, -20_000, 100)]
    assert held.symbols == {"AAA", CALL}


@pytest.mark.parametrize(
    ("settled_on", "as_of", "snapshot", "ended"),
    [
        (None, date(2025, 7, 17), None, False),
        (None, EXPIRY, EXPIRY, False),
        (None, date(2025, 7, 21), None, True),
        (None, None, None, False),
        (EXPIRY, EXPIRY, EXPIRY, True),
        (EXPIRY, EXPIRY, date(2025, 7, 17), False),
        (EXPIRY, EXPIRY, None, False),
        (date(2025, 7, 3), date(2025, 7, 3), date(2025, 7, 3), True),
    ],
)
def test_an_option_ends_with_the_snapshot_that_settles_it_or_after_its_last_day(
    settled_on: date | None, as_of: date | None, snapshot: date | None, ended: bool
) -> None:
    option = lot(CALL, 1, "OPTIONS", settled_on=settled_on)
    assert option.has_expired(as_of=as_of, snapshot_session=snapshot) is ended


def test_what_is_no_option_does_not_expire() -> None:
    later = date(2030, 1, 1)
    assert not lot(CALL).has_expired(as_of=later, snapshot_session=later)
    assert not lot("CALLS", 1, "OPTIONS").has_expired(as_of=later, snapshot_session=later)
    assert (expiry_of(CALL), expiry_of("CALLS")) == (EXPIRY, None)


def test_the_newest_valuation_up_to_the_session_counts() -> None:
    house = private("HOUSE", on_2025_03_31="5", on_2025_06_30="4", on_2025_09_30="7")
    assert house.valuation_at(date(2025, 7, 31)) == (date(2025, 6, 30), Decimal(4))
    assert house.valuation_at(date(2025, 9, 30)) == (date(2025, 9, 30), Decimal(7))
    assert house.valuation_at(date(2025, 3, 30)) is None
    assert house.valuation_at(None) is None


class _Reader:
    """Counts reads; the quantity is the number of the read."""

    def __init__(self) -> None:
        self.reads: list[int] = []

    def __call__(self, portfolio_id: int) -> Holdings:
        self.reads.append(portfolio_id)
        return holdings({"AAA": len(self.reads)})


def test_a_version_is_read_once() -> None:
    reader = _Reader()
    cache = HoldingsCache(reader)
    assert cache.get(1, (1, None)) is cache.get(1, (1, None))
    assert reader.reads == [1]
    assert cache.uses == (1, 1)


@pytest.mark.parametrize("newer", [(2, 7), (1, 8)])
def test_an_edit_and_a_snapshot_are_read_again(newer: BookVersion) -> None:
    cache = HoldingsCache(_Reader())
    assert cache.get(1, (1, 7)).shares.quantities == (10_000,)
    assert cache.get(1, newer).shares.quantities == (20_000,)
    assert cache.get(1, newer).shares.quantities == (20_000,)


def test_large_holdings_make_room_for_each_other() -> None:
    reader = _Reader()
    size = holdings({"AAA": 1}).nbytes
    cache = HoldingsCache(reader, capacity_bytes=2 * size)
    for portfolio_id in (1, 2, 1, 3, 1, 2):
        cache.get(portfolio_id, (1, None))
    # An edited one takes the place of itself.
    cache.get(2, (2, None))
    cache.get(1, (1, None))
    assert reader.reads == [1, 2, 3, 2, 2]
    assert HoldingsCache(reader, capacity_bytes=size - 1).get(4, (1, None)).symbols == {"AAA"}


@pytest.mark.parametrize(
    ("lots", "least"),
    [
        ([lot(f"S{place}") for place in range(1_000)], 300),
        ([replace(private(f"House {place}", on_2025_06_30="5"), notes="n" * 1_000) for place in range(1_000)], 1_900),
        ([replace(private("House"), valued_on=[BOUGHT] * 1_000, valuations=[Decimal(1)] * 1_000)], 100_000),
    ],
    ids=["shares", "private", "valuations"],
)
def test_the_size_of_holdings_is_not_understated(lots: list[Lot], least: int) -> None:
    assert holdings_of(lots).nbytes >= least * len(lots)


def test_the_least_recently_used_is_forgotten() -> None:
    reader = _Reader()
    cache = HoldingsCache(reader, capacity=2)
    for portfolio_id in (1, 2, 1, 3, 1, 2):
        cache.get(portfolio_id, (1, None))
    assert reader.reads == [1, 2, 3, 2]
    assert len(cache) == 2
