"""The loops in Decimal over dictionaries compute what the API answers, so their times can be compared."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from benchmarks import dict_caches
from benchmarks.api_compute import Inputs, compared
from benchmarks.api_world import ApiWorld, api_world
from benchmarks.dict_caches import DictCaches


@pytest.fixture(scope="module")
def world() -> Iterator[ApiWorld]:
    """A small market, one session published, and four portfolios."""
    with api_world(symbols=80, portfolios=4) as world:
        yield world


@pytest.fixture(scope="module")
def inputs(world: ApiWorld) -> Inputs:
    """What the first portfolio's answers are computed from."""
    return Inputs.read(world)


def test_both_compute_the_same_numbers(inputs: Inputs) -> None:
    kinds = compared(inputs)
    assert len(kinds) == 3
    for _, _, difference in kinds.values():
        assert difference() < 1e-9


def test_the_books_are_not_empty_and_something_is_missing(inputs: Inputs) -> None:
    assert len(inputs.lots) == 50
    assert len(dict_caches.exposures(inputs.lots, inputs.equity, inputs.caches)) == 12
    assert any(len(days) < len(inputs.view.sessions) for days in inputs.caches.returns.values())


def test_a_difference_is_seen(inputs: Inputs) -> None:
    wrong = DictCaches(
        closes={**inputs.caches.closes, inputs.lots[0].symbol: Decimal("0.01")},
        betas=inputs.caches.betas,
        sensitivities=inputs.caches.sensitivities,
        returns=inputs.caches.returns,
    )
    other = Inputs(inputs.book, inputs.holdings, inputs.lots, inputs.view, inputs.tests, wrong)
    for kind, (_, _, difference) in compared(other).items():
        # Without the value of one position other days lack too much of the book.
        if not kind.startswith("gains"):
            assert difference() > 1e-4
