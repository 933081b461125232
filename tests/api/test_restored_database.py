"""A database that was brought back to an earlier state under a running process, and comes to its numbers again."""

import asyncio
import threading
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_api.analytic import Analytic
from sigmasight_api.analytics import Analytics
from sigmasight_api.books import HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.exposures import factor_exposures
from sigmasight_api.loader import ViewLoader
from sigmasight_api.rendered import Rendered, RenderedAnswers
from sigmasight_api.repository import Repository
from sigmasight_api.service import Reads
from sigmasight_api.shared import SharedAnswers
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.market import SESSIONS, Figures, add_portfolio, publish, publish_snapshot, random_figures
from tests.orchestration.contents import execute

SYMBOLS = ("AAA", "BBB")


def lose(database: Database, generation: int) -> None:
    execute(database, "DELETE FROM publications WHERE generation = :lost", lost=generation)


def publish_as(database: Database, generation: int, figures: Mapping[str, Figures], symbols: list[str] | None) -> None:
    """Publish under this number, of these symbols alone if named, as onboarding does."""
    published = publish(database, SESSIONS[-1], figures)
    execute(
        database,
        "UPDATE publications SET generation = :wanted, symbols = :symbols WHERE generation = :published",
        wanted=generation,
        symbols=symbols,
        published=published,
    )


@pytest.mark.parametrize("further", [0, 1])
def test_figures_that_were_lost_are_not_kept(database: Database, further: int) -> None:
    """Whether the number is the one that is held or, by the time that somebody looks, a newer one."""
    loader = ViewLoader(database)
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    lost = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    held = loader.load()
    lose(database, lost)
    publish_as(database, lost + further, random_figures(SYMBOLS, seed=3), ["AAA"])
    view, cold = loader.load(previous=held), loader.load()
    assert view.generation == cold.generation == lost + further
    assert view.lineage is not held.lineage
    np.testing.assert_array_equal(view.betas, cold.betas)
    np.testing.assert_array_equal(view.close, cold.close)
    assert not np.array_equal(view.close, held.close)


def test_an_older_number_is_read_anew(database: Database) -> None:
    loader = ViewLoader(database)
    before = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    lost = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    held = loader.load()
    lose(database, lost)
    view = loader.load(previous=held)
    assert (view.generation, view.lineage is held.lineage) == (before, False)


def test_views_of_one_history_know_each_other(database: Database) -> None:
    loader = ViewLoader(database)
    empty = loader.load()
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    first = loader.load(previous=empty)
    publish_as(database, first.generation + 1, random_figures(SYMBOLS, seed=2), ["AAA"])
    second = loader.load(previous=first)
    record = add_portfolio(database, "ann", {"AAA": "10"})
    publish_snapshot(database, record, SESSIONS[-1], Decimal(1000))
    third = loader.load(previous=second)
    assert third.generation > second.generation > first.generation > empty.generation
    assert empty.lineage is first.lineage is second.lineage is third.lineage


def test_what_was_remembered_of_the_lost_state_is_forgotten(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Edits and generations come to the same numbers again, so answers would be found under their old keys."""
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    record = add_portfolio(database, "ann", {"AAA": "10", "BBB": "-5"})
    lost = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    cache, repository = ViewCache(ViewLoader(database)), Repository(database)
    holdings = HoldingsCache(repository.read_holdings)
    analytics = Analytics(
        Reads(repository, cache, holdings),
        repository,
        cache,
        holdings,
        shared=SharedAnswers(database),
        rendered=RenderedAnswers(),
        alone=threading.Lock(),
    )
    cache.refresh()
    before = ask(analytics, cache, repository, record)
    lose(database, lost)
    publish_as(database, lost, random_figures(SYMBOLS, seed=3), None)
    cache.refresh()
    assert f"not the one of generation {lost} any more" in caplog.text
    assert len(holdings) == 0
    after = ask(analytics, cache, repository, record)
    assert (after.generation, before.generation) == (lost, lost)
    assert after.body != before.body


def ask(analytics: Analytics, cache: ViewCache, repository: Repository, record: PortfolioRecord) -> Rendered:
    book = repository.read_book(record.user_id, record.public_id)
    analytic = Analytic("factor-exposures", factor_exposures)
    return asyncio.run(analytics.answer(record.user_id, book, cache.current, analytic))
