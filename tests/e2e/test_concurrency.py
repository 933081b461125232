"""Runs at the same time: a long backfill, the nightly run, a run by hand, and symbols that are onboarded."""

import httpx
import pytest

from sigmasight_assets.orchestration.jobs import ONBOARDING
from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances
from tests.e2e.stack import Stack, succeeded
from tests.e2e.world import DAYS, PUBLISHED, TONIGHT, UNTRACKED, buy
from tests.orchestration.contents import rows_of

pytestmark = pytest.mark.e2e

NO_SUCH_STOCK = "GHOST"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.mark.fault(16)
@pytest.mark.long
def test_backfill_of_sixty_sessions_while_the_nightly_run_starts(stack: Stack, compare: Compare) -> None:
    stack.begin("books", TONIGHT)
    backfill = stack.launch(PUBLISHED[0], PUBLISHED[-1])
    stack.succeed(backfill, stack.nightly(TONIGHT), stack.launch(DAYS[30]))
    compare(DAYS[:61])
    assert {status for *_, status in stack.portfolio_runs()} == {"SUCCESS"}
    assert rows_of(stack.database, DEADLOCKS) == [{"deadlocks": 0}]


def test_symbols_are_onboarded_while_the_nightly_run_fetches(stack: Stack, compare: Compare, api: httpx.Client) -> None:
    stack.set_clock(TONIGHT)
    stack.disturb(Disturbances(held_above=20))
    nightly = stack.nightly(TONIGHT)
    stack.wait_for_step(nightly, "symbol_prices")
    buy(stack.database, *UNTRACKED, NO_SUCH_STOCK)
    assert status(api, UNTRACKED[0])["status"] in ("pending", "processing")
    stack.wait_for_snapshots(PUBLISHED[-1])
    requests = rows_of(stack.database, "SELECT symbol, status FROM symbol_onboarding_queue ORDER BY symbol")
    expected = {**dict.fromkeys(UNTRACKED, "completed"), NO_SUCH_STOCK: "failed"}
    assert {row["symbol"]: row["status"] for row in requests} == expected
    assert len(stack.runs(ONBOARDING)) == 1
    stack.until(
        lambda: status(api, UNTRACKED[0])["status"] == "ready", "the API", told=lambda: status(api, UNTRACKED[0])
    )

    # All of that while the night still waited for its prices.
    stack.disturb(Disturbances())
    stack.succeed(nightly)
    compare(DAYS[:61], failed=[("onboarding_failed", NO_SUCH_STOCK)])
    assert stack.portfolio_runs() == [
        succeeded(DAYS[0], PUBLISHED[-1]),
        succeeded(TONIGHT),
    ]
    assert (status(api, NO_SUCH_STOCK)["status"], status(api, UNTRACKED[-1])["factors_date"]) == ("error", str(TONIGHT))


def status(api: httpx.Client, symbol: str) -> dict[str, object]:
    """What the API says of a symbol."""
    answer: dict[str, object] = api.get(f"/api/v1/symbols/{symbol}/status").raise_for_status().json()
    return answer
