"""The engine against frozen results of other packages, and the frozen results against the script that made them."""

import json
import runpy
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.orchestration.symbol_window import return_anchors
from sigmasight_assets.quant.arrays import DateArray, FloatArray, IntArray
from sigmasight_assets.quant.carried_prices import carried_prices
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.quant.ledger import roll_forward
from sigmasight_assets.quant.lots import CapitalFlows, Dividends, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.metrics import symbol_metrics
from sigmasight_assets.quant.money import MONEY_DIGITS, PRICE_DIGITS, QUANTITY_DIGITS, to_units
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.quant.snapshots import LedgerResult
from sigmasight_assets.quant.splits import Splits, split_factors
from tests.quant.reference import Market, ols_tables

SCRIPT = Path(__file__).parent / "reference" / "make_reference.py"
COLUMNS = ("SHARE", "OTHER", "OPTION", "HOUSE")
RATIOS = {"daily_return", "priced_share"}

Json = Any


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def frozen() -> Json:
    return json.loads(SCRIPT.with_name("results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def inputs(script: dict[str, Any], frozen: Json) -> dict[str, pd.DataFrame]:
    """Closes in units of 1e-4, total-return closes and volumes of the funds and then the symbols."""
    made: dict[str, pd.DataFrame] = script["market"]()
    assert script["checksum"](made) == frozen["inputs"]["sha256"]
    return made


@pytest.fixture(scope="module")
def market(inputs: dict[str, pd.DataFrame]) -> Market:
    returns = simple_returns(inputs["adj_close"].to_numpy())
    priced = inputs["close"].notna().to_numpy()[:, 8:]
    return Market(returns[:, 8:], returns[:, :8], priced, np.full(priced.shape[1], -1))


def numbers(values: Json) -> FloatArray:
    """Nested lists with null as an array with NaN."""
    return np.array(values, dtype=np.float64)


def assert_alike(found: Json, wanted: Json, where: str = "") -> None:
    """Equal in structure, texts and whole numbers; floats to nine digits, for other versions may add up otherwise."""
    if isinstance(wanted, float):
        assert isinstance(found, float), where
        assert_allclose(found, wanted, rtol=1e-9, atol=1e-15, err_msg=where)
    elif isinstance(wanted, dict | list):
        assert type(found) is type(wanted), where
        assert len(found) == len(wanted), where
        for key in wanted if isinstance(wanted, dict) else range(len(wanted)):
            assert_alike(found[key], wanted[key], f"{where}/{key}")
    else:
        assert found == wanted, where


def test_the_script_makes_the_stored_results(script: dict[str, Any], frozen: Json) -> None:
    made = json.loads(json.dumps(script["results"]()))
    assert made.pop("versions").keys() == frozen["versions"].keys()
    assert_alike(made, {key: value for key, value in frozen.items() if key != "versions"})


def test_least_squares(script: dict[str, Any], frozen: Json, market: Market) -> None:
    names = {"beta": "raw_beta"}
    tolerances = {"beta": 1e-14, "alpha": 1e-16, "r_squared": 1e-15, "std_err": 0.0, "p_value": 0.0}
    tables = {factor.name: table for factor, table in ols_tables(market.exposures(list(script["ROWS"]))).items()}
    assert set(tables) == set(frozen["least_squares"])
    for name, wanted in frozen["least_squares"].items():
        for figure, absolute in tolerances.items():
            found = getattr(tables[name], names.get(figure, figure))
            assert_allclose(found, numbers(wanted[figure]), rtol=1e-11, atol=absolute, err_msg=f"{name} {figure}")
        assert_array_equal(tables[name].n_obs, wanted["n_obs"])


def test_ridge(script: dict[str, Any], frozen: Json, market: Market) -> None:
    table, wanted = market.exposures(list(script["ROWS"])).ridge, frozen["ridge"]
    assert_allclose(table.raw_beta, numbers(wanted["beta"]), rtol=1e-11, atol=1e-13)
    assert_allclose(table.r_squared, numbers(wanted["r_squared"]), rtol=1e-11)
    assert_array_equal(table.n_obs, wanted["n_obs"])


def test_covariances(script: dict[str, Any], frozen: Json, market: Market) -> None:
    found, counts = factor_covariances(market.factor_returns, rows=np.array(script["ROWS"]))
    assert_allclose(found, [item["covariance"] for item in frozen["covariances"]], rtol=1e-11)
    assert counts.tolist() == [item["n_obs"] for item in frozen["covariances"]]


def test_metrics(script: dict[str, Any], frozen: Json, inputs: dict[str, pd.DataFrame]) -> None:
    close, adj_close, volume = (frame.to_numpy(dtype=np.float64)[:, 8:] for frame in inputs.values())
    days: DateArray = inputs["close"].index.to_numpy().astype("datetime64[D]")
    rows = np.array(script["ROWS"])
    found = symbol_metrics(close / 10_000.0, adj_close, volume, rows=rows, anchors=return_anchors(days, rows))
    for name, wanted in frozen["metrics"].items():
        # Rolling sums of pandas carry rounding from earlier windows.
        assert_allclose(getattr(found, name), numbers(wanted), rtol=1e-9, atol=1e-14, err_msg=name)


def units(values: list[Any], digits: int) -> IntArray:
    return np.array([to_units(Decimal(value), digits) for value in values], dtype=np.int64)


def dates(values: list[date | None]) -> DateArray:
    return np.array(["NaT" if value is None else value.isoformat() for value in values], dtype="datetime64[D]")


def columns_of(names: list[str]) -> IntArray:
    return np.array([COLUMNS.index(name) for name in names], dtype=np.int64)


def ledger_lots(script: dict[str, Any]) -> Lots:
    owner, symbol, quantity, multiplier, entry, _, exit_date, _ = (
        list(column) for column in zip(*script["LOTS"], strict=True)
    )
    splits = Splits(
        symbol=columns_of([name for name, *_ in script["SPLITS"]]),
        ex_date=dates([ex_date for _, ex_date, _, _ in script["SPLITS"]]),
        numerator=np.array([new for *_, new, _ in script["SPLITS"]]),
        denominator=np.array([old for *_, old in script["SPLITS"]]),
    )
    numerator, denominator = split_factors(splits, columns_of(symbol), dates(entry))
    cost, proceeds = np.array(script["lot_amounts"](), dtype=np.int64).T
    is_private = np.array([name == "HOUSE" for name in symbol])
    return Lots(
        portfolio=np.array(owner),
        symbol=columns_of(symbol),
        quantity=np.where(is_private, 1, units(quantity, QUANTITY_DIGITS)),
        multiplier=np.array(multiplier),
        split_numerator=numerator,
        split_denominator=denominator,
        entry_date=dates(entry),
        exit_date=dates(exit_date),
        cost=cost,
        proceeds=proceeds,
        pays_dividends=np.isin(symbol, ["SHARE", "OTHER"]),
    )


def ledger_prices(script: dict[str, Any]) -> tuple[IntArray, Any]:
    """Prices in force and their ages at the asked sessions; the valuations, in money units, never age."""
    closes = np.zeros((len(script["CALENDAR"]), len(COLUMNS)), dtype=np.int64)
    for column, name in enumerate(COLUMNS):
        scale = 10 ** (MONEY_DIGITS if name == "HOUSE" else PRICE_DIGITS)
        closes[:, column] = [0 if close is None else int(Fraction(close) * scale) for close in script["CLOSES"][name]]
    return carried_prices(closes, np.array(script["ASKED"]))


def rolled(script: dict[str, Any]) -> LedgerResult:
    lots, prices = ledger_lots(script), ledger_prices(script)
    portfolios = Portfolios(
        start_date=dates([start for start, _ in script["PORTFOLIOS"]]),
        stated_equity=units([equity for _, equity in script["PORTFOLIOS"]], MONEY_DIGITS),
    )
    flows = CapitalFlows(
        portfolio=np.array([owner for owner, _, _ in script["FLOWS"]]),
        flow_date=dates([dated for _, dated, _ in script["FLOWS"]]),
        amount=units([amount for *_, amount in script["FLOWS"]], MONEY_DIGITS),
    )
    dividends = Dividends(
        symbol=columns_of([name for name, _, _ in script["DIVIDENDS"]]),
        ex_date=dates([ex_date for _, ex_date, _ in script["DIVIDENDS"]]),
        amount=units([amount for *_, amount in script["DIVIDENDS"]], 6),
    )
    return roll_forward(
        lots,
        portfolios,
        flows,
        LedgerState.initial(portfolios, lots),
        dividends=dividends,
        sessions=dates([script["CALENDAR"][row] for row in script["ASKED"]]),
        prices=prices[0],
        price_age=prices[1],
    )


def test_ledger(script: dict[str, Any], frozen: Json) -> None:
    result = rolled(script)
    sessions = result.sessions.astype(str).tolist()
    for portfolio, wanted in enumerate(frozen["ledger"]):
        assert [day for row, day in enumerate(sessions) if result.snapshots.exists[row, portfolio]] == wanted[
            "sessions"
        ]
        for day, snapshot in zip(wanted["sessions"], wanted["snapshots"], strict=True):
            row = sessions.index(day)
            for name, value in snapshot.items():
                found = getattr(result.snapshots, name)[row, portfolio]
                where = f"{name} of portfolio {portfolio} on {day}"
                if name in RATIOS:
                    assert_allclose(found, np.nan if value is None else value, rtol=1e-14, err_msg=where)
                else:
                    assert found == value, where


def test_the_frozen_ledger_exercises_every_column(frozen: Json) -> None:
    snapshots = [snapshot for item in frozen["ledger"] for snapshot in item["snapshots"]]
    assert [name for name in snapshots[0] if not any(snapshot[name] for snapshot in snapshots)] == []
