"""Tests of bringing some symbols into a view: as good as reading all anew, and only what changed is read."""

import threading
from dataclasses import fields, replace
from datetime import date
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from sigmasight_api.additions import with_symbols
from sigmasight_api.histories import read_returns
from sigmasight_api.loader import MOST_CHANGED, ViewLoader
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import DateArray, FloatArray
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import CLOSED
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.operations_tables import operator_actions, session_decisions
from tests.api.market import SESSIONS, add_bars, add_split, contract, publish, random_figures

SYMBOLS = ("AAA", "BBB", "CCC", "SPY")


def publish_only(database: Database, symbols: list[str], figures: dict[str, Any], **options: Any) -> int:
    """Publish all figures of the newest session again, where only those of some symbols have changed."""
    generation = publish(database, SESSIONS[-1], figures, **options)
    with database.begin() as connection:
        connection.execute(
            sa.update(publications).where(publications.c.generation == generation).values(symbols=symbols)
        )
    return generation


def assert_equal(one: MarketView, other: MarketView) -> None:
    # Of what history they know to be is not a figure.
    for field in (field for field in fields(MarketView) if field.name != "lineage"):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if field.name == "share_units":
            for name in ("keys", "numerators", "denominators"):
                assert getattr(first, name).tolist() == getattr(second, name).tolist()
        elif isinstance(first, np.ndarray):
            np.testing.assert_array_equal(first, second, err_msg=field.name)
        else:
            assert first == second, field.name


@pytest.mark.fault(21)
def test_an_onboarded_symbol_comes_in_without_the_others_being_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader, figures = ViewLoader(database), random_figures([*SYMBOLS, "AAB", "ZZZ"], seed=1)
    old = {symbol: figures[symbol] for symbol in SYMBOLS}
    generation = publish(database, SESSIONS[-1], {**old, "AAPL250815C00150000": contract("2.5")})
    add_split(database, "CCC", date(2025, 7, 1), (3, 2), generation=generation)
    add_bars(database, {symbol: np.linspace(10.0, 20.0, 40) ** 1.5 for symbol in figures})
    before = loader.load()
    news = {**figures, "AAPL250815C00150000": contract("2.5"), "BBB": random_figures(["BBB"], seed=2)["BBB"]}
    generation = publish_only(database, ["AAB", "BBB", "ZZZ"], news, exclusions=[("ZZZ", "ir_beta", "constant")])
    add_split(database, "AAB", date(2025, 7, 1), (1, 10), generation=generation)
    read: list[int] = []

    def watched(transaction: BulkTransaction, sessions: DateArray, symbols: tuple[str, ...]) -> FloatArray:
        # The application that outlives a test refreshes its own view in a thread of its own.
        if threading.current_thread() is threading.main_thread():
            read.append(len(symbols))
        return read_returns(transaction, sessions, symbols)

    monkeypatch.setattr("sigmasight_api.loader.read_returns", watched)
    added = loader.load(previous=before)
    assert read == [3]
    assert "AAB" in added.symbols
    assert_equal(added, ViewLoader(database).load())


def test_a_symbol_whose_figures_are_gone_leaves(database: Database) -> None:
    loader, figures = ViewLoader(database), random_figures(SYMBOLS, seed=1)
    generation = publish(database, SESSIONS[-1], figures)
    add_split(database, "BBB", date(2025, 7, 1), (3, 2), generation=generation)
    before = loader.load()
    publish_only(database, ["BBB"], {symbol: item for symbol, item in figures.items() if symbol != "BBB"})
    after = loader.load(previous=before)
    assert after.symbols == ("AAA", "CCC", "SPY")
    assert after.share_units.keys.size == 0
    assert_equal(after, replace(ViewLoader(database).load(), share_units=after.share_units))


@pytest.mark.fault(21)
@pytest.mark.parametrize("case", ["some unnamed", "too many", "a new session"])
def test_otherwise_everything_is_read(database: Database, case: str) -> None:
    loader, figures = ViewLoader(database), random_figures(SYMBOLS, seed=1)
    publish(database, SESSIONS[-2], figures)
    before = loader.load()
    news = random_figures(SYMBOLS, seed=2)
    if case == "a new session":
        publish(database, SESSIONS[-1], news)
    else:
        publish(database, SESSIONS[-2], news)
        named = [f"S{number}" for number in range(MOST_CHANGED + 1)] if case == "too many" else ["AAA"]
        publish_only(database, named, news)
    after = loader.load(previous=before)
    assert_equal(after, ViewLoader(database).load())
    assert after.betas[1].tolist() == list(news["BBB"].betas)


def test_a_part_of_another_session_is_refused(database: Database) -> None:
    loader = ViewLoader(database)
    publish(database, SESSIONS[-2], random_figures(SYMBOLS, seed=1))
    part = loader.load_symbols(["AAA"])
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    with pytest.raises(ValueError, match="does not fit"):
        with_symbols(loader.load(), part)


def test_a_date_that_was_closed_meanwhile_has_all_read_anew(database: Database) -> None:
    loader, figures = ViewLoader(database), random_figures(SYMBOLS, seed=1)
    publish(database, SESSIONS[-1], figures)
    add_bars(database, {symbol: np.linspace(10.0, 20.0, 40) ** 1.5 for symbol in figures})
    before, closed = loader.load(), SESSIONS[3]
    with database.begin() as connection:
        action = sa.insert(operator_actions).values(kind="close_session", actor="op", reason="a storm", session=closed)
        number = connection.execute(action.returning(operator_actions.c.action_id)).scalar_one()
        connection.execute(sa.insert(session_decisions).values(session=closed, kind=CLOSED, action_id=number))
    publish_only(database, ["AAA"], figures)
    after = loader.load(previous=before)
    assert closed in before.sessions.tolist()
    assert closed not in after.sessions.tolist()
    assert_equal(after, loader.load())
