"""The market of the worked example of ``docs/owner.md``: everything moves in steps of three sessions, over and over.

SPY goes up 1 %, stands still and goes down 1 %. The other funds have rhythms of their own, so nothing is undefined.
"""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.sessions import exchange_calendar

FIRST, LAST = date(2024, 5, 1), date(2025, 7, 31)
BASE = date(2025, 7, 28)
# Percent, of the three sessions after the base and of every three before them; and the close of the base, USD.
CYCLES = {"SPY": (1, 0, -1), "ALDER": (2, -1, -1), "BIRCH": (1, -1, 0)}
BASE_CLOSES = {"SPY": 500.0, "ALDER": 100.0, "BIRCH": 50.0}
SECTORS = {"ALDER": ("Alder Software", "Information Technology"), "BIRCH": ("Birch Water", "Utilities")}
# What a fund has of SPY's moves, and a pattern of its own, percent.
FUNDS = {
    "TLT": (0.0, (0.5, -0.5)),
    "VTV": (0.9, (0.6, -0.6, 0, 0, 0)),
    "VUG": (1.1, (0, 0.3, -0.3, 0, 0)),
    "MTUM": (1.0, (0, 0, 0.3, -0.3, 0)),
    "QUAL": (1.0, (0, 0, 0, 0.3, -0.3)),
    "IWM": (1.2, (0.3,) * 5 + (-0.3,) * 5),
    "USMV": (0.75, (0.2, 0.2, 0, 0, 0, -0.2, -0.2, 0, 0, 0)),
}


def write_market(directory: Path) -> None:
    """Write the two files of the market ``files``."""
    sessions = exchange_calendar().between(FIRST, LAST)
    place = np.arange(len(sessions)) - sessions.index(BASE) - 1
    tables = [_bars(symbol, sessions, _closes(symbol, place)) for symbol in (*CYCLES, *FUNDS)]
    pq.write_table(pa.concat_tables(tables), directory / "prices.parquet")
    lines = ["symbol,name,sector,sub_industry", *(f"{fund},{fund} fund,," for fund in ("SPY", *FUNDS))]
    lines += [f"{symbol},{name},{sector},{sector}" for symbol, (name, sector) in SECTORS.items()]
    (directory / "constituents.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _closes(symbol: str, place: IntArray) -> FloatArray:
    """Closes of all sessions, not rounded; ``place`` counts from the session after the base."""
    share, own = FUNDS.get(symbol, (0.0, (0,)))
    market = CYCLES["SPY"] if symbol in FUNDS else CYCLES[symbol]
    share = share if symbol in FUNDS else 1.0
    percent = share * np.array(market)[place % 3] + np.array(own)[place % len(own)]
    growth = np.cumprod(1 + percent / 100)
    closes: FloatArray = growth / growth[place == -1] * BASE_CLOSES.get(symbol, 100.0)
    return closes


def _bars(symbol: str, sessions: list[date], closes: FloatArray) -> pa.Table:
    rounded = closes.round(4)
    columns = dict.fromkeys(("open", "high", "low", "close"), rounded)
    return pa.table(
        {
            "symbol": [symbol] * len(sessions),
            "price_date": pa.array(sessions, pa.date32()),
            **columns,
            "adj_close": closes,
            "volume": pa.array([1_000_000] * len(sessions), pa.int64()),
        }
    )
