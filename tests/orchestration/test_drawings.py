"""The pictures of a run show what is published, of each session its own, and never fail the run."""

import logging
from datetime import date
from typing import ClassVar

import dagster as dg
import numpy as np
import pytest

from sigmasight_assets.orchestration import materialized, picture_data, pictures, svg
from sigmasight_assets.orchestration.drawings import (
    draw_betas,
    draw_covariances,
    draw_coverage,
    draw_portfolios,
    draw_prices,
)
from sigmasight_assets.orchestration.picture_data import DRAWN_ROWS, DRAWN_SESSIONS, drawn_sessions
from sigmasight_assets.orchestration.pictures import NO_PREVIOUS
from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.books import DAYS, EXPECTED_PORTFOLIOS
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.deployments import Deploy, Run

BETAS = ("market_beta", "ir_beta", "ridge_factors", "spread_factors")
AWAY = "postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing"


class TestDrawnSessions:
    DAYS: ClassVar = [date.fromordinal(739_000 + offset) for offset in range(100)]

    def test_are_the_newest(self) -> None:
        assert drawn_sessions(self.DAYS, rows_each=1) == self.DAYS[-DRAWN_SESSIONS:]
        assert drawn_sessions(self.DAYS[:3], rows_each=1) == self.DAYS[:3]
        assert drawn_sessions([], rows_each=0) == []

    def test_are_fewer_where_each_has_many_rows_but_one_at_least(self) -> None:
        assert drawn_sessions(self.DAYS, rows_each=DRAWN_ROWS // 4) == self.DAYS[-4:]
        assert drawn_sessions(self.DAYS, rows_each=DRAWN_ROWS * 2) == self.DAYS[-1:]


class TestBetas:
    def test_each_session_is_compared_with_the_published_one_before_it(self, published: Database) -> None:
        drawn = draw_betas(published, SYMBOL_PRODUCTS, TARGETS[-2:], symbols=70)
        assert set(drawn) == set(BETAS)
        for product in BETAS:
            assert list(drawn[product]) == TARGETS[-2:]
            for day, before in zip(TARGETS[-2:], TARGETS[-3:], strict=False):
                picture = drawn[product][day]["distribution"]
                assert str(day) in picture
                assert str(before) in picture

    def test_the_first_that_was_ever_published_has_none_before_it(self, published: Database) -> None:
        drawn = draw_betas(published, BETAS, TARGETS[:1], symbols=70)
        assert [NO_PREVIOUS in drawn[product][TARGETS[0]]["distribution"] for product in BETAS] == [True] * 4

    def test_numbers_are_those_of_the_table(self, published: Database) -> None:
        (row,) = rows_of(
            published,
            "SELECT count(*) AS rows, percentile_cont(0.5) WITHIN GROUP (ORDER BY beta) AS median FROM symbol_ir_beta "
            "WHERE session = :day",
            day=TARGETS[-1],
        )
        picture = draw_betas(published, ["ir_beta"], TARGETS[-1:], symbols=70)["ir_beta"][TARGETS[-1]]["distribution"]
        assert f"{row['rows']} betas at {TARGETS[-1]}, median {row['median']:.2f}," in picture

    def test_nothing_is_drawn_of_nothing(self, published: Database) -> None:
        assert draw_betas(published, BETAS, [], symbols=0) == {}
        assert draw_betas(published, ["symbol_daily_metrics"], TARGETS[:1], symbols=70) == {}


def test_covariances_of_each_session(published: Database) -> None:
    drawn = draw_covariances(published, TARGETS)
    assert list(drawn) == TARGETS
    assert NO_PREVIOUS in drawn[TARGETS[0]]["correlations"]
    assert "SPY" in drawn[TARGETS[1]]["correlations"]
    assert NO_PREVIOUS not in drawn[TARGETS[1]]["correlations"]
    assert draw_covariances(published, []) == {}


def test_prices_move_from_session_to_session(priced: Database, calendar: SessionCalendar) -> None:
    drawn = draw_prices(priced, calendar, TARGETS[-2:])
    assert list(drawn) == TARGETS[-2:]
    moved = rows_of(
        priced,
        "SELECT count(*) FILTER (WHERE new.adj_close_price > old.adj_close_price) AS up, count(*) AS bars "
        "FROM symbol_prices_daily new JOIN symbol_prices_daily old USING (symbol) "
        "WHERE new.price_date = :day AND old.price_date = :before",
        day=TARGETS[-1],
        before=TARGETS[-2],
    )[0]
    assert f"Moves of {moved['bars']} prices to {TARGETS[-1]}: {moved['up']} up" in drawn[TARGETS[-1]]["moves"]
    assert draw_prices(priced, calendar, []) == {}


class TestPortfolios:
    def test_both_products_have_theirs(self, done: Database) -> None:
        drawn = draw_portfolios(done, DAYS)
        assert set(drawn) == set(PRODUCTS)
        assert set(drawn["portfolio_snapshots"][DAYS[-1]]) == {"returns", "best_and_worst"}
        exposures = drawn["portfolio_factor_exposures"][DAYS[-1]]
        assert list(exposures) == ["exposures_1_of_3", "exposures_2_of_3", "exposures_3_of_3"]
        assert str(DAYS[-2]) in exposures["exposures_1_of_3"]

    def test_of_many_a_part_is_looked_at_and_that_is_said(
        self, done: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(picture_data, "SAMPLED_PORTFOLIOS", 2)
        one_in = -(-len(EXPECTED_PORTFOLIOS) // 2)
        with done.bulk(read_only=True) as transaction:
            ids, spread = picture_data.sample_portfolios(transaction)
        assert (len(ids), spread) == (2, one_in)
        assert f"one in {one_in}" in str(draw_portfolios(done, DAYS)["portfolio_factor_exposures"])

    def test_without_portfolios_there_are_none(self, published: Database) -> None:
        assert draw_portfolios(published, TARGETS) == {"portfolio_snapshots": {}, "portfolio_factor_exposures": {}}
        assert draw_portfolios(published, []) == {}


def test_coverage_of_a_run_is_shown_with_its_newest_session() -> None:
    active = dict.fromkeys(TARGETS, 10)
    drawn = draw_coverage(active, {day: {"market_beta": 9} for day in TARGETS}, needed=0.98)
    assert set(drawn) == set(TARGETS)
    assert [day for day in TARGETS if "coverage_of_the_run" in drawn[day]] == TARGETS[-1:]
    alone = draw_coverage(active, {TARGETS[0]: {"market_beta": 9}}, needed=0.98)
    assert list(alone[TARGETS[0]]) == ["coverage"]
    assert draw_coverage({}, {}, needed=0.98) == {}


def test_a_database_that_is_away_costs_the_pictures_alone(
    calendar: SessionCalendar, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(AWAY)
    with caplog.at_level(logging.WARNING):
        assert draw_betas(database, BETAS, TARGETS, symbols=70) == {}
        assert draw_covariances(database, TARGETS) == {}
        assert draw_prices(database, calendar, TARGETS) == {}
        assert draw_portfolios(database, TARGETS) == {}
    assert len(caplog.records) == 4
    assert "secret" not in caplog.text


def pictures_of(run: Run, asset: str) -> dict[str, str]:
    """The pictures of each partition, one after the other."""
    found = {}
    for event in run.events(dg.DagsterEventType.ASSET_MATERIALIZATION):
        if event.asset_key == dg.AssetKey(asset) and event.partition:
            metadata = event.materialization.metadata
            found[event.partition] = "".join(
                str(value.value) for value in metadata.values() if "data:image" in str(value.value)
            )
    return found


@pytest.mark.parametrize("missing", [None, TARGETS[5]], ids=["all good", "one fails"])
def test_every_session_of_a_run_has_its_own(deploy: Deploy, priced: Database, missing: date | None) -> None:
    if missing is not None:
        execute(priced, "DELETE FROM symbol_prices_daily WHERE symbol = 'SPY' AND price_date = :day", day=missing)
    run = deploy(priced).run("symbol_layer", TARGETS[0], TARGETS[-1], assets=SYMBOL_PRODUCTS)
    assert run.success == (missing is None)
    good = [str(day) for day in TARGETS if day != missing]
    for product in SYMBOL_PRODUCTS:
        found = pictures_of(run, product)
        assert list(found) == good
        assert [day for day, picture in found.items() if f"at {day}" not in picture] == []


def test_snapshots_have_theirs_first_in_their_metadata(deploy: Deploy, books: Database) -> None:
    run = deploy(books).run("portfolio_layer", DAYS[0], DAYS[-1])
    assert list(pictures_of(run, "portfolio_factor_exposures")) == [str(day) for day in DAYS]
    assert list(run.metadata("portfolio_snapshots"))[:2] == ["returns", "best_and_worst"]


def test_a_picture_that_cannot_be_drawn_is_left_out(
    priced: Database, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> str:
        raise ValueError("a number that nobody foresaw")

    monkeypatch.setattr(pictures, "price_moves", fails)
    assert draw_prices(priced, calendar, TARGETS[-2:]) == {}
    assert "No picture was drawn" in caplog.text


def test_a_fund_that_did_not_move_is_no_obstacle() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan]])
    assert svg.grid(values, [(0.5, "red"), (-1.0, "blue")]).count("blue") == 1


def test_in_a_long_range_each_session_still_has_its_own(
    deploy: Deploy, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialized, "MOST_IN_ORDER", 1)
    run = deploy(books).run("portfolio_layer", DAYS[0], DAYS[-1])
    assert list(pictures_of(run, "portfolio_factor_exposures")) == [str(day) for day in DAYS]
    assert {"returns", "best_and_worst", "snapshots", "generation"} <= run.metadata("portfolio_snapshots").keys()
