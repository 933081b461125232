"""Which runs go first and which give way, by their lane; and that a run does so in the database."""

from collections.abc import Sequence
from datetime import date

import pytest
import sqlalchemy as sa

from sigmasight_assets.market_data.protocol import BarRequest, FetchResult
from sigmasight_assets.orchestration.lanes import LANE_TAG, gives_way, takes_precedence
from sigmasight_assets.orchestration.run_requests import NIGHTLY_SYMBOLS
from sigmasight_assets.storage import database as database_module
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import rows_of
from tests.orchestration.deployments import Deploy
from tests.orchestration.markets import ScriptedMarket

MON = date(2025, 6, 2)


@pytest.mark.parametrize(
    ("tags", "goes_first", "waits"),
    [
        ({}, False, True),
        ({"dagster/partition": "2025-06-02"}, False, True),
        ({LANE_TAG: "symbol"}, False, True),
        ({LANE_TAG: "portfolio"}, False, False),
        ({LANE_TAG: "onboarding"}, True, False),
        (NIGHTLY_SYMBOLS, True, False),
    ],
    ids=["asset graph", "one partition", "backfill", "snapshots", "onboarding", "night"],
)
def test_lanes(tags: dict[str, str], goes_first: bool, waits: bool) -> None:
    assert (takes_precedence(tags), gives_way(tags)) == (goes_first, waits)


class Seen(ScriptedMarket):
    """Notes at its calls who has precedence."""

    def __init__(self, market: ScriptedMarket, database: Database) -> None:
        super().__init__(market.bars, market.descriptions)
        self.database = database
        self.locks: list[int] = []

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        held = "SELECT count(*) AS held FROM pg_locks WHERE locktype = 'advisory' AND objid = 7000"
        self.locks += [row["held"] for row in rows_of(self.database, held)]
        return super().fetch_bars(requests)


@pytest.mark.parametrize(("tags", "held", "waits"), [(NIGHTLY_SYMBOLS, 1, False), ({}, 0, True)])
def test_a_run_takes_precedence_from_its_begin_to_its_end_or_gives_way(
    deploy: Deploy,
    priced: Database,
    awkward: ScriptedMarket,
    monkeypatch: pytest.MonkeyPatch,
    *,
    tags: dict[str, str],
    held: int,
    waits: bool,
) -> None:
    waited: list[sa.Engine] = []
    monkeypatch.setattr(database_module, "wait_for_precedence", waited.append)
    market = Seen(awkward, priced)
    assert deploy(priced, market=market).run("symbol_layer", MON, assets=["symbol_prices"], tags=tags).success
    assert (set(market.locks), bool(waited)) == ({held}, waits)
    assert rows_of(priced, "SELECT 1 AS held FROM pg_locks WHERE locktype = 'advisory' AND objid = 7000") == []
