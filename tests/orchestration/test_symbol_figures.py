"""Published figures of the awkward market against statsmodels, scikit-learn and pandas on the same stored prices."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sigmasight_assets.market_data.protocol import PROFILE_SCHEMA
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.orchestration.symbol_window import SymbolWindow, read_symbol_window, return_anchors
from sigmasight_assets.orchestration.symbol_work import prepare_work
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.profiles import store_profiles
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import FACTOR_COLUMNS, PROFILE_FIGURES, RIDGE_COLUMNS, SPREAD_COLUMNS
from sigmasight_assets.storage.universe import read_universe_in_bulk
from tests.orchestration.conftest import HISTORY_START, TARGETS, store_prices
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.markets import FLAT, HALTED, LATE, LEVERED, UNKNOWN, YOUNG, ScriptedMarket
from tests.orchestration.states import States

# The first session, the one at which HALTED has no bar, and the last.
CHECKED = (TARGETS[0], TARGETS[7], TARGETS[-1])
STYLES = ("VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")
SPREADS = {
    "growth_value_spread": ("VUG", "VTV"),
    "momentum_spread": ("MTUM", "SPY"),
    "size_spread": ("IWM", "SPY"),
    "quality_spread": ("QUAL", "SPY"),
}
TABLES = {
    "market_beta": "symbol_market_beta",
    "ir_beta": "symbol_ir_beta",
    "ridge_factors": "symbol_ridge_factors",
    "spread_factors": "symbol_spread_factors",
    "symbol_daily_metrics": "symbol_daily_metrics",
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """Stored prices and published rows, read once; ``rows`` by product, session and symbol."""

    listed: dict[str, Row]
    close: pd.DataFrame
    adjusted: pd.DataFrame
    volume: pd.DataFrame
    rows: dict[str, dict[tuple[date, str], Row]]
    covariances: list[Row]
    profiles: list[Row]
    reasons: dict[tuple[date, str, str], str]
    long_view: list[Row]

    @property
    def symbols(self) -> list[str]:
        return list(self.listed)

    @property
    def returns(self) -> pd.DataFrame:
        return self.adjusted.pct_change(fill_method=None)

    def window(self, day: date, length: int) -> pd.DataFrame:
        """The last returns up to the session."""
        return self.returns.loc[:day].tail(length)


@pytest.fixture(scope="module")
def stored(states: States, calendar: SessionCalendar, awkward: ScriptedMarket) -> Published:
    def fill(database: Database) -> None:
        store_prices(database, calendar, awkward)
        capture_profiles(database)
        publish_symbol_products(database, calendar, sessions=TARGETS, min_coverage=0.98, run_id="first")

    database = states.enter("profiled", fill)
    bars = pd.DataFrame(rows_of(database, "SELECT * FROM symbol_prices_daily"))
    sessions = calendar.between(HISTORY_START, TARGETS[-1])

    def wide(column: str) -> pd.DataFrame:
        frame = bars.astype({column: float}).pivot_table(index="price_date", columns="symbol", values=column)
        return frame.reindex(sessions)

    return Published(
        listed={row["symbol"]: row for row in rows_of(database, "SELECT * FROM symbol_universe ORDER BY symbol")},
        close=wide("close_price"),
        adjusted=wide("adj_close_price"),
        volume=wide("volume"),
        rows={product: _by_key(database, table) for product, table in TABLES.items()},
        covariances=rows_of(database, "SELECT * FROM factor_covariances ORDER BY session"),
        profiles=rows_of(database, "SELECT * FROM company_profiles ORDER BY captured_on"),
        reasons={
            (row["session"], row["product"], row["symbol"]): row["reason"]
            for row in rows_of(database, "SELECT * FROM symbol_exclusions")
        },
        long_view=rows_of(database, "SELECT * FROM symbol_factor_exposures"),
    )


def capture_profiles(database: Database) -> None:
    """Two thirds of the symbols have a profile from before the range, one third also from within, all from after it.

    The younger ones of a symbol differ from the older ones, and each is silent on something.
    """
    captures = ((TARGETS[0] - timedelta(days=4), 1), (TARGETS[5], 2), (TARGETS[-1] + timedelta(days=1), 0))
    tracked = rows_of(database, "SELECT symbol FROM symbol_universe ORDER BY symbol")
    for number, (captured_on, smallest) in enumerate(captures):
        rows = [
            {
                "symbol": row["symbol"],
                "sector": None if place % 5 == number else f"Sector {place % 4 + number}",
                "industry": None if place % 7 == number else f"Industry {place}",
                "market_cap": 1e9 * (place + 1) + number,
                "pe_ratio": None if place % 2 else 10.5 + number,
                "forward_pe": 9.25 + place,
                "dividend_yield": None if number else 0.0125,
                "provider_beta": -0.5 + place / 100,
            }
            for place, row in enumerate(tracked)
            if place % 3 >= smallest
        ]
        with database.bulk() as transaction:
            profiles = pa.Table.from_pylist(rows, schema=PROFILE_SCHEMA)
            store_profiles(transaction, profiles, captured_on=captured_on, source="scripted")


def _by_key(database: Database, table: str) -> dict[tuple[date, str], Row]:
    return {
        (row.get("session") or row["metrics_date"], row["symbol"]): row
        for row in rows_of(database, f"SELECT * FROM {table}")
    }


def assert_ols(row: Row, prefix: str, y: pd.Series, x: pd.Series, *, full: int) -> None:
    """The columns of one regression equal those of statsmodels on the rows where both have a return."""
    joint = pd.concat([y, x], axis=1, keys=["y", "x"]).dropna()
    fit = sm.OLS(joint["y"].to_numpy(), sm.add_constant(joint["x"].to_numpy())).fit()
    assert row[f"{prefix}n_obs"] == len(joint)
    assert row[f"{prefix}quality"] == ("full" if len(joint) >= full else "limited")
    wanted = {
        "raw_beta": fit.params[1],
        "alpha": fit.params[0],
        "r_squared": fit.rsquared,
        "std_err": fit.bse[1],
        "p_value": fit.pvalues[1],
    }
    for name, value in wanted.items():
        assert row[prefix + name] == pytest.approx(value, rel=1e-11, abs=1e-14), name
    assert row[f"{prefix}is_capped"] == (abs(fit.params[1]) > 5)
    assert row[f"{prefix}beta"] == np.clip(row[f"{prefix}raw_beta"], -5, 5)


@pytest.mark.parametrize("day", CHECKED, ids=str)
@pytest.mark.parametrize(("product", "fund"), [("market_beta", "SPY"), ("ir_beta", "TLT")])
def test_single_betas_equal_statsmodels(stored: Published, product: str, fund: str, day: date) -> None:
    window = stored.window(day, 90)
    compared = 0
    for symbol in stored.symbols:
        row = stored.rows[product].get((day, symbol))
        if row is None or symbol == fund:
            continue
        assert_ols(row, "", window[symbol], window[fund], full=60)
        compared += 1
    assert compared >= 68


@pytest.mark.parametrize("day", CHECKED, ids=str)
def test_spread_betas_equal_statsmodels(stored: Published, day: date) -> None:
    window = stored.window(day, 180)
    compared = 0
    for symbol in stored.symbols:
        row = stored.rows["spread_factors"].get((day, symbol))
        if row is None:
            continue
        for name, (long, short) in SPREADS.items():
            assert_ols(row, f"{name}_", window[symbol], window[long] - window[short], full=120)
            assert row[f"{name}_reason"] is None
            compared += 1
    assert compared >= 4 * 68


@pytest.mark.parametrize("day", CHECKED, ids=str)
def test_ridge_betas_equal_scikit_learn(stored: Published, day: date) -> None:
    window = stored.window(day, 90)
    compared = 0
    for symbol in stored.symbols:
        row = stored.rows["ridge_factors"].get((day, symbol))
        if row is None:
            continue
        joint = pd.concat([window[symbol].rename("y"), window[list(STYLES)]], axis=1).dropna()
        x, y = joint[list(STYLES)].to_numpy(), joint["y"].to_numpy()
        scaler = StandardScaler().fit(x)
        model = Ridge(alpha=1.0, solver="cholesky").fit(scaler.transform(x), y)
        raw = model.coef_ / scaler.scale_
        assert row["n_obs"] == len(joint)
        assert row["quality"] == ("full" if len(joint) >= 60 else "limited")
        assert row["r_squared"] == pytest.approx(model.score(scaler.transform(x), y), rel=1e-11)
        for name, value in zip(RIDGE_COLUMNS, raw, strict=True):
            assert row[f"{name}_raw_beta"] == pytest.approx(value, rel=1e-10, abs=1e-12)
            assert row[f"{name}_beta"] == np.clip(row[f"{name}_raw_beta"], -5, 5)
            assert row[f"{name}_is_capped"] == (abs(value) > 5)
        compared += 1
    assert compared >= 68


@pytest.mark.fault(32)
def test_a_fund_regressed_on_itself(stored: Published) -> None:
    for day in TARGETS:
        for product, fund in (("market_beta", "SPY"), ("ir_beta", "TLT")):
            row = stored.rows[product][day, fund]
            assert (row["beta"], row["std_err"], row["p_value"], row["r_squared"]) == (1.0, 0.0, 0.0, 1.0)
            assert (row["alpha"], row["n_obs"], row["is_capped"]) == (0.0, 90, False)


def test_levered_symbol_is_capped_and_keeps_its_raw_beta(stored: Published) -> None:
    row = stored.rows["market_beta"][TARGETS[-1], LEVERED]
    assert (row["beta"], row["is_capped"]) == (5.0, True)
    assert row["raw_beta"] == pytest.approx(8.0, abs=1e-3)
    assert stored.rows["symbol_daily_metrics"][TARGETS[-1], LEVERED]["market_beta"] == 5.0


@pytest.mark.fault(32)
def test_quality_follows_the_rows_used(stored: Published) -> None:
    market, spreads = stored.rows["market_beta"], stored.rows["spread_factors"]
    lengths = [(market[day, YOUNG]["n_obs"], market[day, YOUNG]["quality"]) for day in TARGETS]
    assert lengths == [(n, "full" if n >= 60 else "limited") for n in range(55, 67)]
    present = [day for day in TARGETS if (day, YOUNG) in spreads]
    assert present == TARGETS[5:]
    assert {spreads[day, YOUNG]["size_spread_quality"] for day in present} == {"limited"}


@pytest.mark.parametrize("day", CHECKED, ids=str)
def test_metrics_equal_pandas(stored: Published, calendar: SessionCalendar, day: date) -> None:
    adjusted, close = stored.adjusted.loc[:day], stored.close.loc[:day]
    anchors = return_anchors(calendar.sessions, np.array([calendar.index(day)]))[0]
    bases = [adjusted.loc[calendar.sessions[anchor].item()] for anchor in anchors]
    since = [adjusted.iloc[-1] / base - 1 for base in bases]
    short, long = (stored.returns.loc[:day].tail(length).std(skipna=False) * np.sqrt(252) for length in (21, 63))
    expected = {
        "return_1d": adjusted.iloc[-1] / adjusted.iloc[-2] - 1,
        **dict(zip(("return_mtd", "return_ytd", "return_1m", "return_3m", "return_1y"), since, strict=True)),
        "volatility_21d": short,
        "volatility_63d": long,
        "high_52w": close.tail(252).max(),
        "low_52w": close.tail(252).min(),
        "dollar_volume_21d": (close * stored.volume.loc[:day]).tail(21).mean(skipna=False),
        "close_price": close.iloc[-1],
    }
    rows = stored.rows["symbol_daily_metrics"]
    priced = set(close.columns[close.iloc[-1].notna()])
    assert {symbol for session, symbol in rows if session == day} == priced
    for symbol in priced:
        row = rows[day, symbol]
        for name, values in expected.items():
            wanted = None if np.isnan(values[symbol]) else float(values[symbol])
            found = None if row[name] is None else float(row[name])
            assert found == (wanted if wanted is None else pytest.approx(wanted, rel=1e-12, abs=1e-13)), (symbol, name)


def test_metrics_repeat_the_published_betas(stored: Published) -> None:
    for key, row in stored.rows["symbol_daily_metrics"].items():
        market, rates = (stored.rows[product].get(key, {}) for product in ("market_beta", "ir_beta"))
        ridge, spreads = (stored.rows[product].get(key, {}) for product in ("ridge_factors", "spread_factors"))
        published = [market.get("beta"), rates.get("beta")]
        published += [ridge.get(f"{name}_beta") for name in RIDGE_COLUMNS]
        published += [spreads.get(f"{name}_beta") for name in SPREAD_COLUMNS]
        assert [row[f"{name}_beta"] for name in FACTOR_COLUMNS] == published


def test_quality_score(stored: Published) -> None:
    """40 for the price, 20 each for returns without a gap, for all betas, and for a profile of the last seven days."""
    rows = stored.rows["symbol_daily_metrics"]
    for (day, symbol), row in rows.items():
        profile = newest_profile(stored, symbol, day)
        is_fresh = profile is not None and (day - profile["captured_on"]).days < 7
        has_all_betas = all(row[f"{name}_beta"] is not None for name in FACTOR_COLUMNS)
        has_all_returns = bool(stored.window(day, 21)[symbol].notna().all())
        assert row["data_quality_score"] == 40 + 20 * has_all_returns + 20 * has_all_betas + 20 * is_fresh
    assert {row["data_quality_score"] for row in rows.values()} == {40, 60, 80, 100}


def newest_profile(stored: Published, symbol: str, day: date) -> Row | None:
    captured = [row for row in stored.profiles if row["symbol"] == symbol and row["captured_on"] <= day]
    return captured[-1] if captured else None


def test_metrics_hold_the_newest_profile_of_their_day(stored: Published) -> None:
    names = ("sector", "industry", *PROFILE_FIGURES)
    seen = set()
    for (day, symbol), row in stored.rows["symbol_daily_metrics"].items():
        profile = newest_profile(stored, symbol, day)
        assert [row[name] for name in names] == [profile and profile[name] for name in names], (day, symbol)
        seen.add(profile and profile["captured_on"])
    # Some have none, and the one from after the range is nobody's.
    assert seen == {None, TARGETS[0] - timedelta(days=4), TARGETS[5]}


def test_covariances_equal_numpy(stored: Published) -> None:
    assert [row["session"] for row in stored.covariances] == TARGETS
    for row in stored.covariances:
        window = stored.window(row["session"], 252)[list(FACTOR_ETFS)]
        age = np.arange(len(window))[::-1]
        expected = np.cov(window.to_numpy().T, aweights=0.97**age, ddof=0)
        np.testing.assert_allclose(np.reshape(row["covariance"], (8, 8)), expected, rtol=1e-12, atol=1e-18)
        assert row["factors"] == list(FACTOR_ETFS)
        assert row["n_obs"] == 252


@pytest.mark.fault(8)
def test_every_symbol_has_a_row_or_a_reason(stored: Published) -> None:
    for product, rows in stored.rows.items():
        for day in TARGETS:
            with_row = {symbol for session, symbol in rows if session == day}
            with_reason = {symbol for session, name, symbol in stored.reasons if (session, name) == (day, product)}
            assert with_row | with_reason == set(stored.symbols)
            assert not with_row & with_reason


@pytest.mark.fault(32)
def test_reasons(stored: Published) -> None:
    expected: dict[tuple[date, str, str], str] = {}
    for place, day in enumerate(TARGETS):
        for product in TABLES:
            expected[day, product, UNKNOWN] = "no_data_from_source"
            if product != "symbol_daily_metrics":
                expected[day, product, FLAT] = "constant"
            if place < 4:
                expected[day, product, LATE] = "not_listed_yet"
            elif product != "symbol_daily_metrics":
                expected[day, product, LATE] = "short_history"
        if place < 5:
            expected[day, "spread_factors", YOUNG] = "short_history"
    expected |= {(TARGETS[7], product, HALTED): "no_price" for product in TABLES}
    assert stored.reasons == expected


def test_long_view_holds_every_published_exposure(stored: Published) -> None:
    found = {(row["symbol"], row["factor"], row["calculation_date"]): row for row in stored.long_view}
    assert len(found) == len(stored.long_view)
    expected: dict[tuple[str, str, date], Row] = {}
    for factor, column in zip(FACTORS, FACTOR_COLUMNS, strict=True):
        product, prefix = _place(column)
        shared = "" if product == "ridge_factors" else prefix
        for (day, symbol), row in stored.rows[product].items():
            if row[f"{prefix}beta"] is not None:
                expected[symbol, factor.name, day] = {
                    "symbol": symbol,
                    "factor": factor.name,
                    "calculation_date": day,
                    "beta_value": row[f"{prefix}beta"],
                    "r_squared": row[f"{shared}r_squared"],
                    "std_err": row.get(f"{prefix}std_err"),
                    "p_value": row.get(f"{prefix}p_value"),
                    "observations": row[f"{shared}n_obs"],
                    "quality_flag": row[f"{shared}quality"],
                    "method": factor.estimator,
                }
    assert found == expected
    assert len(expected) > 12 * 12 * 65


def _place(column: str) -> tuple[str, str]:
    """Product and column prefix of a factor."""
    if column in ("market", "ir"):
        return f"{column}_beta", ""
    return ("ridge_factors" if column in RIDGE_COLUMNS else "spread_factors"), f"{column}_"


def read_window(calendar: SessionCalendar, database: Database, sessions: list[date]) -> SymbolWindow:
    with database.bulk(read_only=True) as transaction:
        symbols = read_universe_in_bulk(transaction)
        return read_symbol_window(transaction, calendar, symbols, sessions=sessions)


def test_one_missing_fund_inside_the_window_drops_its_rows_only(calendar: SessionCalendar, priced: Database) -> None:
    """A hole in IWM costs the ridge and the size spread two rows, and nothing else any."""
    execute(
        priced,
        "DELETE FROM symbol_prices_daily WHERE symbol = 'IWM' AND price_date = :day",
        day=calendar.offset(TARGETS[-1], -10),
    )
    window = read_window(calendar, priced, [TARGETS[-1]])
    with priced.bulk(read_only=True) as transaction:
        (part,) = prepare_work(transaction, window, products=SYMBOL_PRODUCTS).parts
    column = window.grid.symbols.index("SPY")
    exposures = part.figures.exposures
    assert [item.n_obs[0, column] for item in (exposures.market, exposures.rates, exposures.ridge)] == [90, 90, 88]
    assert [item.n_obs[0, column] for item in exposures.spreads] == [180, 180, 178, 180]
