"""Tests of reading views: which session, which rows, what is missing and why; a part equals the whole."""

from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_api.loader import ViewLoader
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import StorageError
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, Quality
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.api.market import (
    SESSIONS,
    Figures,
    add_bars,
    add_dividend,
    add_portfolio,
    add_split,
    contract,
    publish,
    publish_snapshot,
    random_figures,
    std_error,
    track,
)
from tests.conftest import NewDatabase

NAMES = [factor.name for factor in FACTORS]
SYMBOLS = ("AAA", "BBB", "CCC")


def load(database: Database) -> MarketView:
    return ViewLoader(database).load()


def test_before_the_first_publication_there_is_an_empty_view(database: Database) -> None:
    view = load(database)
    assert (view.generation, view.symbol_generation, view.as_of, view.symbols) == (0, 0, None, ())
    assert view.betas.shape == (0, 12)


def test_every_figure_is_the_published_one(database: Database) -> None:
    figures = random_figures(SYMBOLS, seed=1)
    generation = publish(database, SESSIONS[-1], figures)
    view = load(database)
    assert (view.generation, view.symbol_generation, view.as_of) == (generation, generation, SESSIONS[-1])
    assert view.symbols == SYMBOLS
    assert view.close.tolist() == [int(figures[symbol].close * 10_000) for symbol in SYMBOLS]
    assert view.betas.tolist() == [list(figures[symbol].betas) for symbol in SYMBOLS]
    assert (view.quality == Quality.FULL).all()
    assert set(view.factors_session.ravel().tolist()) == set(view.close_session.tolist()) == {SESSIONS[-1]}


@pytest.mark.parametrize("missing", SYMBOL_PRODUCTS)
def test_the_newest_session_counts_once_every_product_is_there(database: Database, missing: str) -> None:
    publish(database, SESSIONS[-2], random_figures(SYMBOLS, seed=1))
    others = [product for product in SYMBOL_PRODUCTS if product != missing]
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2), products=others)
    view = load(database)
    assert view.as_of == SESSIONS[-2]
    assert view.close_session.max() == np.datetime64(SESSIONS[-2])
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2), products=[missing])
    assert load(database).as_of == SESSIONS[-1]


def test_figures_are_carried_for_five_sessions_and_no_longer(database: Database) -> None:
    old, older, today = random_figures(["OLD"], 1), random_figures(["OLDER"], 2), random_figures(["NOW"], 3)
    publish(database, SESSIONS[-7], older)
    publish(database, SESSIONS[-6], old)
    publish(database, SESSIONS[-1], today)
    view = load(database)
    assert view.symbols == ("NOW", "OLD")
    assert view.close_session.tolist() == [SESSIONS[-1], SESSIONS[-6]]
    assert view.factors_session[1].tolist() == [SESSIONS[-6]] * 4


def test_each_product_is_as_new_as_it_can_be(database: Database) -> None:
    publish(database, SESSIONS[-2], random_figures(SYMBOLS, seed=1))
    newest = random_figures(SYMBOLS, seed=2)
    only = frozenset({"market_beta", "symbol_daily_metrics"})
    publish(database, SESSIONS[-1], {**newest, "AAA": replace(newest["AAA"], products=only)})
    view = load(database)
    assert view.factors_session[0].tolist() == [SESSIONS[-1], *[SESSIONS[-2]] * 3]
    assert view.betas[0, 0] == newest["AAA"].betas[0]
    assert view.betas[0, 1] == random_figures(SYMBOLS, seed=1)["AAA"].betas[1]


def test_what_is_missing_is_nan_with_its_recorded_reason(database: Database) -> None:
    betas = (None, 0.5, *[0.1] * 6, 0.2, None, 0.3, 0.4)
    publish(
        database,
        SESSIONS[-1],
        {"NEW": Figures(Decimal("1.5"), betas, quality="limited")},
        exclusions=[("NEW", "market_beta", "constant"), ("GONE", "market_beta", "no_price")],
    )
    view = load(database)
    assert np.flatnonzero(np.isnan(view.betas[0])).tolist() == [0, NAMES.index("Momentum Spread")]
    assert view.quality[0].tolist() == [0, *[Quality.LIMITED] * 8, 0, *[Quality.LIMITED] * 2]
    assert view.missing_reason("NEW", 0) == "constant"
    assert view.missing_reason("NEW", NAMES.index("Momentum Spread")) == "short_history"
    assert view.missing_reason("GONE", 0) == "no_price"


def test_closes_come_with_the_splits_they_are_stated_after(database: Database) -> None:
    generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    add_split(database, "BBB", SESSIONS[4], (3, 2), generation=generation)
    add_split(database, "BBB", SESSIONS[6], (1, 10), generation=generation)
    add_dividend(database, "BBB", SESSIONS[5], "0.123456", generation=generation)
    add_split(database, "AAA", SESSIONS[4], (2, 1), generation=None)
    add_split(database, "CCC", SESSIONS[4], (4, 1), generation=generation, withdrawn_generation=generation)
    add_split(database, "GONE", SESSIONS[4], (5, 1), generation=generation)
    for view in (load(database), ViewLoader(database).load_symbols(["AAA", "BBB", "CCC", "GONE"])):
        rows = np.array([view.rows["BBB"], view.rows["BBB"], view.rows["AAA"], view.rows["CCC"]])
        dates = np.array([SESSIONS[3], SESSIONS[4], SESSIONS[3], SESSIONS[3]], dtype="datetime64[D]")
        numerators, denominators = view.share_units.factors(rows, dates)
        assert (numerators.tolist(), denominators.tolist()) == ([3, 1, 1, 1], [20, 10, 1, 1])


def test_a_withdrawal_that_is_not_published_yet_does_not_count(database: Database) -> None:
    generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    add_split(database, "AAA", SESSIONS[4], (2, 1), generation=generation)
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE corporate_actions SET withdrawn_at = now()")
    factors = load(database).share_units.factors(np.array([0]), np.array([SESSIONS[0]], dtype="datetime64[D]"))
    assert [column.tolist() for column in factors] == [[2], [1]]


def test_provider_betas_are_those_published_with_the_close(database: Database) -> None:
    publish(database, SESSIONS[-3], {"OLD": replace(random_figures(["OLD"], 1)["OLD"], provider_beta=0.5)})
    newest = random_figures(SYMBOLS, seed=2)
    publish(database, SESSIONS[-1], {**newest, "BBB": replace(newest["BBB"], provider_beta=-1.25)})
    view = load(database)
    known = {symbol: float(view.provider_beta[row]) for symbol, row in view.rows.items() if view.provider_beta[row] < 9}
    assert known == {"BBB": -1.25, "OLD": 0.5}


def test_sectors_and_standard_errors_are_the_published_ones(database: Database) -> None:
    track(database, "FUND", asset_type="etf")
    figures = random_figures([*SYMBOLS, "FUND"], seed=1)
    publish(database, SESSIONS[-1], {**figures, "BBB": replace(figures["BBB"], sector="Energy")})
    view = load(database)
    assert view.sectors == (None, "Energy", None, None)
    assert view.is_fund.tolist() == [False, False, False, True]
    assert np.isnan(view.std_errors[:, 2:8]).all()
    for column in (0, 1, 8, 9, 10, 11):
        assert view.std_errors[:, column].tolist() == [
            std_error(figures[symbol].betas[column]) for symbol in view.symbols
        ]


def test_option_contracts_are_symbols_without_exposures(database: Database) -> None:
    publish(database, SESSIONS[-1], {**random_figures(["AAA"], 1), "AAPL250815C00150000": contract("2.5")})
    view = load(database)
    row = view.rows["AAPL250815C00150000"]
    assert (int(view.close[row]), np.isnan(view.betas[row]).all()) == (25_000, True)


def test_a_view_of_no_symbols_knows_its_generation(database: Database) -> None:
    generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    view = ViewLoader(database).load_symbols([])
    assert (view.generation, view.as_of, view.symbols) == (generation, SESSIONS[-1], ())


def test_the_factor_funds_belong_to_every_view(database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures([*SYMBOLS, "SPY", "TLT"], seed=1))
    part = ViewLoader(database).load_symbols(["BBB"])
    assert part.symbols == ("BBB", "SPY", "TLT")
    assert part.covers(FACTOR_ETFS)


def test_the_view_of_some_symbols_is_that_part_of_the_whole(database: Database) -> None:
    publish(database, SESSIONS[-3], random_figures(["AAA", "OLD"], seed=1))
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2), exclusions=[("OLD", "ir_beta", "no_price")])
    add_bars(database, {symbol: np.linspace(10.0, 20.0, 8) ** 1.1 for symbol in ("BBB", "CCC")})
    whole = load(database)
    part = ViewLoader(database).load_symbols(["OLD", "BBB", "UNHEARD", "'; DROP TABLE users --"])
    assert part.symbols == ("BBB", "OLD")
    rows = [whole.rows[symbol] for symbol in part.symbols]
    assert (part.generation, part.as_of) == (whole.generation, whole.as_of)
    assert part.close.tolist() == whole.close[rows].tolist()
    assert part.betas.tolist() == whole.betas[rows].tolist()
    assert part.factors_session.tolist() == whole.factors_session[rows].tolist()
    assert np.array_equal(part.returns, whole.returns[rows], equal_nan=True)
    assert part.reasons == whole.reasons
    assert part.covers(["UNHEARD"])
    assert not part.covers(["AAA"])


def test_a_portfolio_publication_changes_the_generation_and_keeps_the_columns(database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    loader = ViewLoader(database)
    before = loader.load()
    portfolio = add_portfolio(database, "ann", {"AAA": "1"})
    generation = publish_snapshot(database, portfolio, SESSIONS[-1], Decimal(100))
    after = loader.load(previous=before)
    assert (after.generation, after.symbol_generation) == (generation, before.symbol_generation)
    assert after.betas is before.betas


def test_a_symbol_publication_is_read_anew(database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    loader = ViewLoader(database)
    before = loader.load()
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    assert loader.load(previous=before).betas.tolist() == load(database).betas.tolist() != before.betas.tolist()


def test_a_database_that_is_away_or_empty_is_a_storage_error(new_database: NewDatabase) -> None:
    with new_database("template1") as url, closing(Database(url)) as empty, pytest.raises(StorageError):
        ViewLoader(empty).load()
    away = Database("postgresql+psycopg2://nobody@127.0.0.1:9/nothing")
    with pytest.raises(StorageError, match="does not answer"):
        ViewLoader(away).load()
