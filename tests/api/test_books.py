"""Tests of holdings: exact sums, and a memory that is bounded and never older than what was asked for."""

from decimal import Decimal

from sigmasight_api.books import Holdings, HoldingsCache, holdings_of


def test_quantities_are_exact_integers() -> None:
    huge = Decimal("99999999999999.9999") * 1000
    held = holdings_of([("AAA", "PUBLIC", Decimal("0.0001")), ("BBB", "PUBLIC", huge)])
    assert held.symbols == ("AAA", "BBB")
    assert held.quantities == (1, 999999999999999999000)


def test_lots_that_cancel_are_gone_and_other_classes_apart() -> None:
    held = holdings_of([("AAA", "PUBLIC", Decimal(0)), ("BBB", "PRIVATE", Decimal(1)), ("CCC", "OPTIONS", Decimal(-2))])
    assert held == Holdings((), (), (("BBB", "PRIVATE"), ("CCC", "OPTIONS")))


class _Reader:
    """Counts reads; the quantity is the number of the read."""

    def __init__(self) -> None:
        self.reads: list[int] = []

    def __call__(self, portfolio_id: int) -> Holdings:
        self.reads.append(portfolio_id)
        return Holdings(("AAA",), (len(self.reads),), ())


def test_a_book_version_is_read_once() -> None:
    reader = _Reader()
    cache = HoldingsCache(reader)
    assert cache.get(1, 1) is cache.get(1, 1)
    assert reader.reads == [1]


def test_an_edit_is_read_again() -> None:
    cache = HoldingsCache(_Reader())
    assert cache.get(1, 1).quantities == (1,)
    assert cache.get(1, 2).quantities == (2,)
    assert cache.get(1, 2).quantities == (2,)


def test_the_least_recently_used_is_forgotten() -> None:
    reader = _Reader()
    cache = HoldingsCache(reader, capacity=2)
    for portfolio_id in (1, 2, 1, 3, 1, 2):
        cache.get(portfolio_id, 1)
    assert reader.reads == [1, 2, 3, 2]
    assert len(cache) == 2
