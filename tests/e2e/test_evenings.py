"""Evenings that end well at once, and evenings on which something is missing at first."""

import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances
from tests.e2e.stack import Stack, succeeded
from tests.e2e.world import DAYS, PUBLISHED, TONIGHT
from tests.orchestration.contents import published_generations, rows_of

pytestmark = pytest.mark.e2e

TOMORROW = DAYS[61]


def test_normal_night(stack: Stack, compare: Compare) -> None:
    stack.set_clock(TONIGHT)
    stack.succeed(stack.nightly(TONIGHT))
    compare(DAYS[:61])
    assert stack.portfolio_runs() == [succeeded(TONIGHT)]


@pytest.mark.long
def test_manual_rerun_of_an_old_session_changes_nothing(stack: Stack, compare: Compare) -> None:
    generation = stack.generation()
    stack.succeed(stack.launch(DAYS[30]))
    assert "current" in stack.wait_for_skip(str(PUBLISHED[-1]))
    assert stack.generation() == generation
    assert stack.portfolio_runs() == []
    compare(PUBLISHED)


@pytest.mark.long
def test_a_symbol_without_a_bar_is_left_out_with_a_reason_and_back_the_next_evening(
    stack: Stack, compare: Compare
) -> None:
    stack.set_clock(TONIGHT)
    stack.disturb(Disturbances(missing={"BIPE": [str(TONIGHT)]}))
    stack.succeed(stack.nightly(TONIGHT))
    compare(DAYS[:61], failed=[("held_without_price", "BIPE")])
    left_out = "SELECT DISTINCT symbol, reason FROM symbol_exclusions WHERE session = :day"
    assert rows_of(stack.database, left_out, day=TONIGHT) == [{"symbol": "BIPE", "reason": "no_price"}]

    stack.set_clock(TOMORROW)
    stack.disturb(Disturbances())
    stack.succeed(stack.nightly(TOMORROW))
    compare(DAYS[:62])
    assert rows_of(stack.database, left_out, day=TONIGHT) == []
    runs = [succeeded(TONIGHT), succeeded(TONIGHT, TOMORROW)]
    assert stack.portfolio_runs() == runs


def test_an_evening_without_spy_is_not_published_and_says_so_until_it_comes(stack: Stack, compare: Compare) -> None:
    stack.set_clock(TONIGHT)
    stack.disturb(Disturbances(missing={"SPY": [str(TONIGHT)]}))
    assert stack.wait_for_run(stack.nightly(TONIGHT)).status == "FAILURE"
    reason = stack.wait_for_skip("SPY")
    for word in (str(TONIGHT), "symbol_daily_metrics", "factor_etfs_priced"):
        assert word in reason
    assert TONIGHT not in published_generations(stack.database, "symbol")
    assert stack.portfolio_runs() == []

    stack.disturb(Disturbances())
    stack.succeed(stack.launch(TONIGHT))
    compare(DAYS[:61])
    assert stack.portfolio_runs() == [succeeded(TONIGHT)]


@pytest.mark.long
@pytest.mark.fault(17)
def test_half_of_the_symbols_come_ninety_minutes_late(stack: Stack, compare: Compare) -> None:
    stack.set_clock(TONIGHT, "21:01")
    late = [item["symbol"] for item in rows_of(stack.database, "SELECT symbol FROM symbol_universe ORDER BY symbol")]
    stack.disturb(Disturbances(missing={symbol: [str(TONIGHT)] for symbol in late[::2]}))
    assert stack.wait_for_run(stack.nightly(TONIGHT)).status == "FAILURE"
    assert late[0] in stack.wait_for_skip("coverage")

    stack.set_clock(TONIGHT, "22:31")
    stack.disturb(Disturbances())
    stack.wait_for_publication(TONIGHT)
    compare(DAYS[:61])
    assert stack.portfolio_runs() == [succeeded(TONIGHT)]


@pytest.mark.long
def test_missed_evenings_are_caught_up_in_order_as_one_range(stack: Stack, compare: Compare) -> None:
    stack.set_clock(DAYS[62])
    stack.succeed(stack.nightly(DAYS[62]))
    compare(DAYS[:63])
    assert [run.span for run in stack.runs(SYMBOL_LAYER)] == [(str(TONIGHT), str(DAYS[62]))]
    assert stack.portfolio_runs() == [succeeded(TONIGHT, DAYS[62])]
