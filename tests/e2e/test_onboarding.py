"""A worker that is killed while it onboards: its lease ends, and another brings the symbols in."""

import pytest

from sigmasight_assets.orchestration.jobs import ONBOARDING
from sigmasight_assets.storage.onboarding_claims import LEASE_SECONDS, LOST
from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances
from tests.e2e.stack import Stack
from tests.e2e.world import PUBLISHED, UNTRACKED, buy
from tests.storage.onboarding_queue import let_pass, requests

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_another_worker_takes_over_from_one_that_was_killed(stack: Stack, compare: Compare) -> None:
    stack.disturb(Disturbances(held_above=0))
    buy(stack.database, *UNTRACKED[:2])
    stack.until(lambda: bool(stack.runs(ONBOARDING)), "the onboarding run", told=stack.runs)
    (killed,) = stack.runs(ONBOARDING)
    stack.wait_for_step(killed.run_id, "onboarded_symbols")
    stack.kill("dagster-code-server", with_workers=True)
    stack.disturb(Disturbances())
    assert {(item.status, item.attempts) for item in requests(stack.database).values()} == {("processing", 1)}
    let_pass(stack.database, LEASE_SECONDS)
    stack.until(lambda: len(stack.runs(ONBOARDING)) == 2, "another run", told=stack.runs)
    compare(PUBLISHED)
    found = requests(stack.database)
    assert {symbol: (item.status, item.attempts) for symbol, item in found.items()} == dict.fromkeys(
        UNTRACKED[:2], ("completed", 2)
    )
    assert killed.run_id not in {item.run_id for item in found.values()}
    assert LOST not in {item.error for item in found.values()}
