"""Tests of what views hold of the past: returns of consecutive sessions, and the newest covariances."""

import numpy as np

from sigmasight_api.loader import ViewLoader
from sigmasight_api.view import RETURNS_HELD, MarketView
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from tests.api.market import SESSIONS, add_bars, add_covariance, publish, random_figures

SYMBOLS = ("AAA", "BBB", "CCC")


def load(database: Database) -> MarketView:
    return ViewLoader(database).load()


def test_returns_are_those_of_consecutive_sessions(database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    closes = np.random.default_rng(5).uniform(10.0, 20.0, (2, 300))
    closes[0, [100, 298]] = np.nan
    add_bars(database, {"AAA": closes[0], "BBB": closes[1]})
    add_bars(database, {"AAA": np.array([15.0])}, last=exchange_calendar().offset(SESSIONS[-1], 1))
    view = load(database)
    assert (view.returns.shape, view.sessions[-1].item()) == ((3, RETURNS_HELD), SESSIONS[-1])
    expected = closes[:, 1:] / closes[:, :-1] - 1.0
    assert np.array_equal(view.returns[:2], expected[:, -RETURNS_HELD:], equal_nan=True)
    assert np.isnan(view.returns[0, [-1, -2]]).all()
    assert np.isnan(view.returns[2]).all()
    assert exchange_calendar().offset(view.sessions[0].item(), RETURNS_HELD - 1) == SESSIONS[-1]


def test_covariances_are_the_newest_published_ones_in_the_order_of_the_funds(database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    matrix = np.arange(64.0).reshape(8, 8)
    add_covariance(database, SESSIONS[-7], matrix + 200.0, FACTOR_ETFS)
    assert load(database).covariance is None
    add_covariance(database, SESSIONS[-4], matrix + 100.0, FACTOR_ETFS)
    add_covariance(database, SESSIONS[-2], matrix, FACTOR_ETFS[::-1])
    for view in (load(database), ViewLoader(database).load_symbols(["AAA"])):
        assert view.covariance_session == SESSIONS[-2]
        assert view.covariance is not None
        assert view.covariance.tolist() == matrix[::-1, ::-1].tolist()
