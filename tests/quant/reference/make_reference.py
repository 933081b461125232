"""Makes `results.json`: inputs from a seed, and what other packages and plain arithmetic make of them.

Run it as `python tests/quant/reference/make_reference.py` to write the file anew. Nothing of the project is imported:
the regressions are those of statsmodels and scikit-learn, metrics and covariance those of pandas, and the ledger is
worked out in fractions, lot by lot, from the contract (docs/formulas). Inputs come from sums of Python's `random()`,
whose sequence for a seed never changes, and from single additions and products, so they are the same everywhere; their
checksum is stored beside the results.
"""

import hashlib
import json
import platform
import re
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

RESULTS = Path(__file__).with_name("results.json")
PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy", "statsmodels")

SEED = 20250731
SESSIONS = 300
ROWS = (150, 252, 299)
FUNDS = ("SPY", "TLT", "VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")
SYMBOLS = ("ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO", "FOXTROT", "GOLF", "HOTEL", "INDIA", "JULIET", "KILO", "LIMA")
# Name, bought fund, sold fund, window, fewest observations.
LINES: tuple[tuple[str, str, str | None, int, int], ...] = (
    ("Market Beta", "SPY", None, 90, 30),
    ("IR Beta", "TLT", None, 90, 30),
    ("Growth-Value Spread", "VUG", "VTV", 180, 60),
    ("Momentum Spread", "MTUM", "SPY", 180, 60),
    ("Size Spread", "IWM", "SPY", 180, 60),
    ("Quality Spread", "QUAL", "SPY", 180, 60),
)
STYLES = list(FUNDS[2:])

Json = Any


def normal(source: Random) -> float:
    """Nearly normal with variance 1: the sum of twelve uniform numbers less 6."""
    return sum(source.random() for _ in range(12)) - 6.0


def market() -> dict[str, pd.DataFrame]:
    """Close in cents of a cent, total-return close and volume of funds and symbols, with gaps; by session."""
    source = Random(SEED)
    index = pd.bdate_range("2024-01-02", periods=SESSIONS)
    common = [0.0004 + 0.009 * normal(source) for _ in index]
    rates = [0.007 * normal(source) for _ in index]
    close: dict[str, list[float]] = {}
    for place, name in enumerate((*FUNDS, *SYMBOLS)):
        loading = {"SPY": 1.0, "TLT": 0.0, "HOTEL": 8.0}.get(name, 0.4 + 0.1 * (place % 9))
        of_rates = 1.0 if name == "TLT" else 0.1 * (place % 3)
        noise = 0.0 if name in {"SPY", "TLT"} else 0.004 + 0.001 * place
        price, prices = 40.0 + 7.0 * place, []
        for shock, rate in zip(common, rates, strict=True):
            price *= 1.0 + loading * shock + of_rates * rate + noise * normal(source)
            prices.append(round(price, 4))
        close[name] = prices
    frame = pd.DataFrame(close, index=index)
    frame["FOXTROT"] = 25.0
    volume = pd.DataFrame({name: [1_000 + source.randrange(10**6) for _ in index] for name in close}, index=index)
    adjusted = frame.copy()
    for name, ex_row, kept in (("INDIA", 120, 0.99), ("INDIA", 275, 0.985), ("KILO", 200, 0.97)):
        adjusted.loc[index[:ex_row], name] *= kept
    missing = _missing(source, frame)
    # In integers, which hold the sums of the checksum apart from the way floats are printed.
    units = (frame * 10_000).round().astype("int64").where(~missing)
    return {"close": units, "adj_close": adjusted.mask(missing), "volume": volume.mask(missing)}


def _missing(source: Random, frame: pd.DataFrame) -> pd.DataFrame:
    """Scattered gaps, a halt, late listings, a session without a bar, and a fund's missing bar."""
    missing = pd.DataFrame(data=False, index=frame.index, columns=frame.columns)
    for name in ("ALFA", "BRAVO", "JULIET", "KILO", "LIMA"):
        missing[name] = [source.random() < 0.03 for _ in frame.index]
    index = frame.index
    missing.loc[index[230:242], "CHARLIE"] = True
    missing.loc[index[:215], "DELTA"] = True
    missing.loc[index[:275], "ECHO"] = True
    missing.loc[index[[252, 299]], "GOLF"] = True
    missing.loc[index[261], "QUAL"] = True
    missing.loc[index[140], "TLT"] = True
    return missing


def checksum(inputs: dict[str, pd.DataFrame]) -> str:
    """SHA-256 of every number of the inputs as Python prints it."""
    lines = [f"{name} {frame.to_numpy(dtype='float64').tolist()}" for name, frame in inputs.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def returns(inputs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Daily returns of the total-return closes."""
    return inputs["adj_close"].pct_change(fill_method=None)


def _rows(columns: pd.DataFrame, row: int, window: int) -> tuple[pd.DataFrame, pd.Series]:
    """Regressors and symbol without the rows of the window where one of them is missing; the symbol comes last."""
    complete = columns.iloc[max(0, row + 1 - window) : row + 1].dropna()
    return complete.iloc[:, :-1], complete.iloc[:, -1]


def least_squares(inputs: dict[str, pd.DataFrame]) -> dict[str, Json]:
    """Of each of the six simple regressions, its figures as (rows, symbols), null where there is no value."""
    daily = returns(inputs)
    tables: dict[str, Json] = {}
    for name, bought, sold, window, fewest in LINES:
        regressor = daily[bought] if sold is None else daily[bought] - daily[sold]
        table: dict[str, list[Json]] = {
            figure: [] for figure in ("beta", "alpha", "r_squared", "std_err", "p_value", "n_obs")
        }
        for row in ROWS:
            fits: list[list[Json]] = []
            for symbol in SYMBOLS:
                x, y = _rows(pd.concat([regressor, daily[symbol]], axis=1), row, window)
                fits.append(_line(x, y) if _has_value(inputs, symbol, row, y, fewest) else [None] * 5 + [len(y)])
            for values, column in zip(table.values(), zip(*fits, strict=True), strict=True):
                values.append(list(column))
        tables[name] = table
    return tables


def _has_value(inputs: dict[str, pd.DataFrame], symbol: str, row: int, y: pd.Series, fewest: int) -> bool:
    return bool(pd.notna(inputs["close"][symbol].iloc[row])) and len(y) >= fewest and y.nunique() > 1


def _line(x: pd.DataFrame, y: pd.Series) -> list[Json]:
    fit = sm.OLS(y.to_numpy(), sm.add_constant(x.to_numpy())).fit()
    return [*map(float, (fit.params[1], fit.params[0], fit.rsquared, fit.bse[1], fit.pvalues[1])), len(y)]


def ridge(inputs: dict[str, pd.DataFrame]) -> dict[str, Json]:
    """Betas (rows, symbols, 6), R2 and observations (rows, symbols) of the joint regression."""
    daily = returns(inputs)
    table: dict[str, Json] = {"beta": [], "r_squared": [], "n_obs": []}
    for row in ROWS:
        fits: list[list[Json]] = []
        for symbol in SYMBOLS:
            x, y = _rows(daily[[*STYLES, symbol]], row, 90)
            if not _has_value(inputs, symbol, row, y, 30):
                fits.append([[None] * 6, None, len(y)])
                continue
            model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x.to_numpy(), y.to_numpy())
            betas = model[-1].coef_ / model[0].scale_
            fits.append([betas.tolist(), float(model.score(x.to_numpy(), y.to_numpy())), len(y)])
        for values, column in zip(table.values(), zip(*fits, strict=True), strict=True):
            values.append(list(column))
    return table


def covariances(inputs: dict[str, pd.DataFrame]) -> list[Json]:
    """The 8 x 8 matrix of each row: numpy's weighted covariance of the joint rows of 252."""
    daily = returns(inputs)[list(FUNDS)]
    answer = []
    for row in ROWS:
        window = daily.iloc[max(0, row - 251) : row + 1]
        joint = window.notna().all(axis=1).to_numpy()
        weights = 0.97 ** np.arange(len(window))[::-1]
        matrix = np.cov(window.to_numpy()[joint], rowvar=False, aweights=weights[joint], ddof=0)
        answer.append({"n_obs": int(joint.sum()), "covariance": matrix.tolist()})
    return answer


def metrics(inputs: dict[str, pd.DataFrame]) -> dict[str, Json]:
    """Figures (rows, symbols) by pandas, null where one cannot be given."""
    close, adjusted = inputs["close"] / 10_000, inputs["adj_close"]
    daily, index = returns(inputs), inputs["close"].index
    bases = {
        "return_mtd": index.to_period("M").start_time - pd.DateOffset(days=1),
        "return_ytd": index.to_period("Y").start_time - pd.DateOffset(days=1),
        "return_1m": index - pd.DateOffset(months=1),
        "return_3m": index - pd.DateOffset(months=3),
        "return_1y": index - pd.DateOffset(years=1),
    }
    frames = {
        "return_1d": daily,
        **{name: adjusted / _prices_at(adjusted, base) - 1.0 for name, base in bases.items()},
        "volatility_21d": daily.rolling(21).std() * np.sqrt(252.0),
        "volatility_63d": daily.rolling(63).std() * np.sqrt(252.0),
        "high_52w": close.rolling(252, min_periods=1).max().where(close.notna()),
        "low_52w": close.rolling(252, min_periods=1).min().where(close.notna()),
        "dollar_volume_21d": (close * inputs["volume"]).rolling(21).mean(),
    }
    return {name: _listed(frame.iloc[list(ROWS)][list(SYMBOLS)]) for name, frame in frames.items()}


def _prices_at(prices: pd.DataFrame, base: pd.DatetimeIndex) -> pd.DataFrame:
    """Prices of the last session on or before each date, missing where that lies before the first session."""
    at = prices.index.get_indexer(base, method="ffill")
    found = prices.iloc[at].set_axis(prices.index)
    return found.where(pd.Series(at >= 0, index=prices.index), axis=0)


def _listed(frame: pd.DataFrame) -> list[list[float | None]]:
    return [[None if pd.isna(value) else float(value) for value in row] for row in frame.to_numpy()]


def _closes(text: str) -> list[Fraction | None]:
    return [None if close == "-" else Fraction(close) for close in text.split()]


# The book: sessions are the weekdays from 2025-03-03 on, of which the ledger is asked for all but the eighth.
CALENDAR = [day.date() for day in pd.bdate_range("2025-03-03", periods=16)]
ASKED = [row for row in range(16) if row != 7]
# Closes in the units after the last split, those of HOUSE being an owner's valuations.
CLOSES = {
    "SHARE": _closes("25.0125 25.5 24.7575 26.01 26.005 25.875 27.1 27.35 26.4 26.9 27 27.15 26.8 26.75 27.333 27.5"),
    "OTHER": _closes("31.3 31.3 31.3 - - - 30.55 29.2701 - - - - - - 28.8 29.1"),
    "OPTION": _closes("4.35 4.4 3.95 - 4.05 4.6 5 4.85 4.1 4.2 4.25 4.3 4 3.9 4.15 4.2"),
    "HOUSE": _closes("250000 " * 6 + "262500.125 " * 10),
}
# Symbol, ex-date, new shares, old shares.
SPLITS = [("SHARE", date(2025, 3, 10), 4, 1), ("OTHER", date(2025, 3, 11), 1, 3)]
# Symbol, ex-date, amount in the units of the closes.
DIVIDENDS = [
    ("SHARE", date(2025, 3, 5), "0.0625"),
    ("SHARE", date(2025, 3, 12), "0.07"),
    ("SHARE", date(2025, 3, 17), "0.07"),
    ("OTHER", date(2025, 3, 13), "0.333333"),
]
# First session asked of, stated equity.
PORTFOLIOS = [(date(2025, 3, 3), "100000"), (date(2025, 3, 4), "50000.5"), (date(2025, 3, 7), "1")]
FLOWS = [(0, date(2025, 3, 6), "2500.25"), (0, date(2025, 3, 12), "-1000"), (1, date(2025, 3, 18), "333.33")]
# Portfolio, symbol, quantity, multiplier, entry date, entry price, exit date, exit price (in the units of that date).
# Some begin or end on the ex-date of a split or dividend.
LOTS: list[tuple[int, str, str, int, date, str, date | None, str]] = [
    (0, "SHARE", "10.5", 1, date(2025, 2, 3), "98.4", None, "0"),
    (0, "SHARE", "4", 1, date(2025, 3, 4), "101.1", date(2025, 3, 12), "26.6"),
    (0, "SHARE", "12", 1, date(2025, 3, 12), "26", date(2025, 3, 13), "27.02"),
    (0, "OTHER", "100.3333", 1, date(2025, 3, 3), "10.4", None, "0"),
    (0, "OPTION", "3", 100, date(2025, 3, 5), "4.1", date(2025, 3, 19), "4.05"),
    (1, "SHARE", "-7.25", 1, date(2025, 3, 4), "102.02", date(2025, 3, 17), "26.7"),
    (1, "OTHER", "-30", 1, date(2025, 3, 7), "10.15", None, "0"),
    (1, "OPTION", "-2", 100, date(2025, 3, 3), "4.4", None, "0"),
    (1, "HOUSE", "1", 1, date(2025, 3, 3), "240000", None, "0"),
    (2, "SHARE", "1", 1, date(2025, 3, 7), "104.5", date(2025, 3, 7), "104.6"),
    (2, "OTHER", "9", 1, date(2025, 3, 11), "30.9", None, "0"),
]


def price_in_force(symbol: str, row: int) -> tuple[Fraction, int] | None:
    """The close of the session or one up to five sessions older, and its age; none otherwise."""
    for age in range(min(row, 5) + 1):
        close = CLOSES[symbol][row - age]
        if close is not None:
            return close, age
    return None


def split_factor(symbol: str, after: date, until: date = date.max) -> Fraction:
    """How many shares one share of ``after`` became."""
    factor = Fraction(1)
    for name, ex_date, new, old in SPLITS:
        if name == symbol and after < ex_date <= until:
            factor *= Fraction(new, old)
    return factor


def cents(amount: Fraction) -> int:
    """In units of 1e-8, rounded half-even."""
    return round(amount * 10**8)


def lot_amounts() -> list[tuple[int, int]]:
    """Cost and proceeds of each lot in units of 1e-8; an open lot's proceeds are 0."""
    answer = []
    for _, symbol, quantity, multiplier, entry, paid, exit_date, received in LOTS:
        size = Fraction(quantity) * multiplier
        shares = size * split_factor(symbol, entry, exit_date) if exit_date else size
        answer.append((cents(size * Fraction(paid)), cents(shares * Fraction(received))))
    return answer


def ledger() -> list[Json]:
    """The snapshots of each portfolio: money in units of 1e-8, ratios as floats."""
    answer = []
    for portfolio, (start, stated) in enumerate(PORTFOLIOS):
        rows = [row for row in ASKED if CALENDAR[row] >= start]
        values: dict[int, int] = {}
        first = _snapshot(portfolio, None, rows[0], values)
        snapshots = [first | {"equity": cents(Fraction(stated)), "cumulative_pnl": 0, "daily_return": None}]
        for since, row in pairwise(rows):
            before, now = snapshots[-1], _snapshot(portfolio, since, row, values)
            base = before["equity"] + now["capital_flow"]
            now["equity"] = base + now["daily_pnl"]
            now["cumulative_pnl"] = before["cumulative_pnl"] + now["daily_pnl"]
            now["daily_return"] = now["daily_pnl"] / base if base > 0 else None
            snapshots.append(now)
        answer.append({"sessions": [CALENDAR[row].isoformat() for row in rows], "snapshots": snapshots})
    return answer


def _snapshot(portfolio: int, since: int | None, row: int, values: dict[int, int]) -> dict[str, Json]:
    """Everything that adds up over lots; ``values`` holds the last value of each lot and is brought up to date."""
    day, before = CALENDAR[row], date.max if since is None else CALENDAR[since]
    names = ("daily_pnl", "dividends", "realized_pnl", "unrealized_pnl", "long_value", "short_value", "unpriced_value")
    counts = ("positions", "stale_positions", "excluded_positions")
    total: dict[str, Json] = dict.fromkeys((*names, *counts), 0)
    held = priced = 0
    for place, (lot, (cost, proceeds)) in enumerate(zip(LOTS, lot_amounts(), strict=True)):
        owner, symbol, _, _, entry, _, exit_date, _ = lot
        if owner != portfolio or entry > day or (exit_date and exit_date <= min(before, day)):
            continue
        opening = values.get(place, cost)
        paid = sum(_dividends(lot, before, day))
        total["dividends"] += paid
        if exit_date and exit_date <= day:
            total["daily_pnl"] += proceeds - opening + paid
            total["realized_pnl"] += proceeds - cost
            continue
        found = price_in_force(symbol, row)
        values[place] = value = opening if found is None else _value(lot, found[0])
        total["daily_pnl"] += (0 if since is None else value - opening) + paid
        total["unrealized_pnl"] += value - cost
        total["positions"] += 1
        total["stale_positions"] += found is not None and found[1] > 0 and symbol != "HOUSE"
        total["excluded_positions"] += found is None
        side = "unpriced_value" if found is None else "long_value" if value > 0 else "short_value"
        total[side] += value
        held += abs(value)
        priced += abs(value) if found is not None and (found[1] == 0 or symbol == "HOUSE") else 0
    total["priced_share"] = priced / held if held else None
    flows = [Fraction(amount) for owner, dated, amount in FLOWS if owner == portfolio and before < dated <= day]
    return total | {"capital_flow": cents(sum(flows, Fraction()))}


def _value(lot: tuple[int, str, str, int, date, str, date | None, str], price: Fraction) -> int:
    _, symbol, quantity, multiplier, entry, *_ = lot
    return cents(Fraction(quantity) * multiplier * split_factor(symbol, entry) * price)


def _dividends(lot: tuple[int, str, str, int, date, str, date | None, str], before: date, day: date) -> list[int]:
    _, symbol, quantity, _, entry, _, exit_date, _ = lot
    return [
        cents(Fraction(quantity) * split_factor(symbol, entry) * Fraction(amount))
        for name, ex_date, amount in DIVIDENDS
        if name == symbol and before < ex_date <= day and entry < ex_date and (not exit_date or exit_date >= ex_date)
    ]


def results() -> dict[str, Json]:
    """Everything that the file holds."""
    inputs = market()
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "inputs": {"seed": SEED, "sha256": checksum(inputs)},
        "sessions": [inputs["close"].index[row].date().isoformat() for row in ROWS],
        "symbols": list(SYMBOLS),
        "least_squares": least_squares(inputs),
        "ridge": ridge(inputs),
        "covariances": covariances(inputs),
        "metrics": metrics(inputs),
        "ledger": ledger(),
    }


def main() -> None:
    """Write the file, one list of numbers a line."""
    text = json.dumps(results(), indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
