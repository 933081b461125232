"""What the nights leave in the database: where two databases differ, and what of one does not belong together."""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA
from tests.orchestration.contents import Contents, contents, rows_of
from tests.orchestration.portfolio_runs import assert_equal_to_oracle

STATED_ACTIONS = "(SELECT * FROM corporate_actions WHERE withdrawn_at IS NULL)"
PUBLISHED_ACTIONS = "(SELECT * FROM corporate_actions WHERE generation IS NOT NULL AND withdrawn_generation IS NULL)"
# Everything that the pipeline comes to, without the record of how it came to that.
RESULT_TABLES = {
    "symbol_universe": ("symbol",),
    "symbol_prices_daily": ("symbol", "price_date"),
    STATED_ACTIONS: ("symbol", "ex_date", "kind"),
    PUBLISHED_ACTIONS: ("symbol", "ex_date", "kind"),
    "company_profiles": ("symbol", "captured_on"),
    "symbol_market_beta": ("session", "symbol"),
    "symbol_ir_beta": ("session", "symbol"),
    "symbol_ridge_factors": ("session", "symbol"),
    "symbol_spread_factors": ("session", "symbol"),
    "symbol_daily_metrics": ("metrics_date", "symbol"),
    "factor_covariances": ("session",),
    "symbol_exclusions": ("session", "symbol", "product"),
    "figure_invalidations": ("symbol",),
    "portfolio_snapshots": ("portfolio_id", "session"),
    "portfolio_lot_values": ("portfolio_id", "session"),
    "portfolio_exposures": ("portfolio_id", "session"),
    "option_expiries": ("portfolio_id", "position_id"),
}
# And that record.
RECORD_TABLES = {
    "corporate_actions": ("action_id",),
    "restatements": ("restatement_id",),
    "price_quarantine": ("quarantine_id",),
    "publications": ("generation", "layer", "session"),
    "snapshot_inputs": ("session",),
    "portfolios": ("portfolio_id",),
}
# A fingerprint tells returns apart that an adjusted close rescaled by a dividend or a split has moved in the last bit
# (quant/fingerprint.py), and that of a snapshot the last bits of betas.
HOW_IT_CAME = (
    *("generation", "withdrawn_generation", "withdrawn_at", "learnt_at", "action_id", "run_id"),
    *("fetched_at", "updated_at", "added_at", "fingerprint"),
)
BOOKS = ("users", "portfolios", "positions", "private_valuations", "capital_flows")

# How far two computations of a float may differ by the order of their sums; dollars are sums of large amounts.
RELATIVE, ABSOLUTE, ABSOLUTE_DOLLARS = 1e-9, 1e-12, 1e-7


def results(database: Database) -> Contents:
    """All that the pipeline comes to, without how it came."""
    return contents(database, RESULT_TABLES, ignoring=HOW_IT_CAME)


def everything(database: Database) -> Contents:
    """The same with the record of how it came, to the last bit."""
    return contents(database, RESULT_TABLES | RECORD_TABLES)


def differences(found: Contents, expected: Contents) -> list[str]:
    """Rows that only one has, and values that differ: floats by more than their rounding, all others at all."""
    told = []
    for table, rows in expected.items():
        floats = _float_columns(table)
        for key in sorted(found[table].keys() | rows.keys(), key=str):
            pair = found[table].get(key), rows.get(key)
            if None in pair:
                told.append(f"{table} {key}: {pair}")
            elif pair[0] != pair[1]:
                told += [f"{table} {key}: {change}" for change in _changes(*pair, floats)]
    return told


def _float_columns(table: str) -> set[str]:
    """The columns of floats; corporate actions have none."""
    if table not in METADATA.tables:
        return set()
    types = {column.name: column.type for column in METADATA.tables[table].columns}
    return {name for name, kind in types.items() if isinstance(getattr(kind, "item_type", kind), sa.Double)}


def _changes(left: str | None, right: str | None, floats: set[str]) -> Iterator[str]:
    old, new = (json.loads(row or "{}", parse_float=Decimal) for row in (left, right))
    for name in old:
        if old[name] != new[name] and not (name in floats and _close(name, old[name], new[name])):
            yield f"{name} {old[name]} {new[name]}"


def _close(name: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(_close(name, *pair) for pair in zip(left, right, strict=True))
    bound = ABSOLUTE_DOLLARS if name.endswith("_dollars") else ABSOLUTE
    return math.isclose(float(left), float(right), rel_tol=RELATIVE, abs_tol=bound)


def copy_books(source: Database, target: Database) -> None:
    """Store the owners' books once more, with all their keys."""
    with source.begin() as reading, target.begin() as writing:
        for name in BOOKS:
            table = METADATA.tables[name]
            rows = [dict(row) for row in reading.execute(sa.select(table)).mappings()]
            columns = table.columns.keys()
            values = [f":{column}" for column in columns]
            into = f"INSERT INTO {name} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES ({', '.join(values)})"
            if rows:
                writing.execute(sa.text(into), rows)


PRICES_APART = """
SELECT metrics_date, published.symbol, published.close_price, stored.close_price AS stored_price
FROM symbol_daily_metrics AS published LEFT JOIN symbol_prices_daily AS stored
  ON (stored.symbol, stored.price_date) = (published.symbol, published.metrics_date)
WHERE stored.close_price IS DISTINCT FROM published.close_price
"""
ACTIONS_APART = """
SELECT symbol, ex_date, kind FROM corporate_actions
WHERE (generation IS NULL OR withdrawn_generation IS NOT NULL) <> (withdrawn_at IS NOT NULL)
"""
MARKED = "SELECT symbol, first_session, last_session FROM figure_invalidations"


def find_mixes(database: Database, days: Sequence[date], *, with_books: bool) -> list[str]:
    """What is published over all of ``days`` and does not belong together; snapshots too when they are to be current.

    Published closes and actions are those that the market states now, no symbol waits, and every snapshot, value and
    exposure follows from the published figures as they are now.
    """
    found = [str(row) for query in (PRICES_APART, ACTIONS_APART, MARKED) for row in rows_of(database, query)]
    if with_books:
        try:
            assert_equal_to_oracle(database, days, market_days=days)
        except AssertionError as error:
            found.append(f"snapshots of {days[-1]}: {error}")
    return found
