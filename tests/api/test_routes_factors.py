"""The factors over HTTP: the definitions as the database has them, and the collinearity from the bars."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.tools import add_constant

from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_bars, add_token, publish, random_figures
from tests.quant.reference import random_market

PATH = "/api/v1/factors"
STYLE_FUNDS = list(FACTOR_ETFS[2:])


def test_the_definitions_are_those_of_the_database(api: Api, database: Database) -> None:
    document = api.get(PATH, add_token(database, "ann")).json()
    with database.begin() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM factor_definitions ORDER BY position").mappings().all()
    assert document["total"] == len(rows) == 12
    for item, row in zip(document["items"], rows, strict=True):
        assert (item["name"], item["proxies"], item["estimator"]) == (row["factor"], row["proxies"], row["estimator"])
        assert (item["window"], item["min_observations"]) == (row["window_sessions"], row["min_observations"])


def test_the_collinearity_is_that_of_the_stored_bars(api: Api, database: Database) -> None:
    returns = random_market(seed=51, sessions=130).factor_returns
    closes = 100.0 * np.cumprod(1.0 + returns, axis=0)
    closes[110, 3] = np.nan
    add_bars(database, dict(zip(FACTOR_ETFS, closes.T, strict=True)))
    generation = publish(database, SESSIONS[-1], random_figures(FACTOR_ETFS, seed=52))
    api.refresh()
    answer = api.get(PATH, add_token(database, "ann"))
    document = answer.json()
    assert answer.headers["X-Data-Generation"] == str(document["generation"]) == str(generation)
    with database.begin() as connection:
        bars = pd.read_sql("SELECT symbol, price_date, adj_close_price FROM symbol_prices_daily", connection)
    table = bars.pivot_table(index="price_date", columns="symbol", values="adj_close_price")
    used = table.pct_change(fill_method=None)[-90:][STYLE_FUNDS].dropna().to_numpy()
    found = document["collinearity"]
    assert (found["as_of"], found["window"], found["observations"]) == (str(SESSIONS[-1]), 90, len(used))
    assert len(used) == 88
    assert found["condition_number"] == pytest.approx(np.linalg.cond(StandardScaler().fit_transform(used)), rel=1e-8)
    design = add_constant(used)
    assert {item["fund"]: item["variance_inflation"] for item in found["factors"]} == pytest.approx(
        {fund: variance_inflation_factor(design, place) for place, fund in enumerate(STYLE_FUNDS, start=1)}, rel=1e-8
    )
    assert found["reason"] is None


def test_before_the_first_publication_there_are_definitions_and_no_collinearity(api: Api, database: Database) -> None:
    document = api.get(PATH, add_token(database, "ann")).json()
    assert (document["as_of"], document["collinearity"]["condition_number"]) == (None, None)
    assert document["collinearity"]["reason"] == "short_history"


def test_a_token_is_needed(api: Api) -> None:
    assert api.get(PATH).status_code == 401
