"""Splits and dividends: what the source states now, and what published figures are consistent with.

Rows are never changed but for being published and withdrawn: a changed amount is a withdrawn row and a new one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa

from sigmasight_assets.storage.bulk import BulkTransaction, decimal_array

DIVIDEND_DIGITS = 6
# Amounts are whole millionths of a dollar, null for splits; ratios are null for dividends.
ACTION_ROWS = pa.schema(
    [
        ("symbol", pa.string()),
        ("ex_date", pa.date32()),
        ("kind", pa.string()),
        ("ratio_numerator", pa.int64()),
        ("ratio_denominator", pa.int64()),
        ("amount", pa.int64()),
    ]
)
COLUMNS = (
    "symbol, ex_date, kind, ratio_numerator, ratio_denominator, "
    f"(amount * {10**DIVIDEND_DIGITS})::bigint AS amount FROM corporate_actions"
)
IS_STATED = "withdrawn_at IS NULL"
IS_PUBLISHED = "generation IS NOT NULL AND withdrawn_generation IS NULL"
# What a publication does to an action: the column it writes, and of which rows.
PENDING = {
    "generation": f"{IS_STATED} AND generation IS NULL",
    "withdrawn_generation": f"withdrawn_at IS NOT NULL AND {IS_PUBLISHED}",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Ratio of a split or amount (1e-6 USD a share) of a dividend."""

    ratio_numerator: int | None
    ratio_denominator: int | None
    amount: int | None

    def __str__(self) -> str:
        if self.amount is None:
            return f"{self.ratio_numerator}:{self.ratio_denominator}"
        return f"{Decimal(self.amount).scaleb(-DIVIDEND_DIGITS).normalize():f}"


@dataclass(frozen=True, slots=True)
class ActionChange:
    """An action that is new (``old`` is None), withdrawn (``new`` is None) or has other terms than before."""

    symbol: str
    ex_date: date
    kind: str
    old: Terms | None
    new: Terms | None

    @property
    def sort(self) -> str:
        """The word it is counted under: new, changed or withdrawn."""
        if self.old is None:
            return "new"
        return "withdrawn" if self.new is None else "changed"

    def __str__(self) -> str:
        before = "" if self.old is None or self.new is None else f", formerly {self.old}"
        withdrawn = " withdrawn" if self.new is None else ""
        return f"{self.kind} {self.new or self.old} of {self.ex_date}{before}{withdrawn}"


def read_published_actions(transaction: BulkTransaction, symbols: Sequence[str] | None = None) -> pa.Table:
    """The actions that published closes are consistent with, in ``ACTION_ROWS`` by symbol, ex-date and kind.

    Of all symbols, or of those given.
    """
    return _read(transaction, IS_PUBLISHED, first=date.min, last=date.max, symbols=symbols)


def read_stated_actions(
    transaction: BulkTransaction, *, first: date, last: date, symbols: Sequence[str] | None = None
) -> pa.Table:
    """What the source states now with an ex-date from ``first`` to ``last``, as ``read_published_actions`` has it."""
    return _read(transaction, IS_STATED, first=first, last=last, symbols=symbols)


def _read(
    transaction: BulkTransaction, condition: str, *, first: date, last: date, symbols: Sequence[str] | None
) -> pa.Table:
    chosen, parameters = ("", ()) if symbols is None else (" AND symbol = ANY($3)", (list(symbols),))
    rows = transaction.read(
        f"SELECT {COLUMNS} WHERE {condition} AND ex_date BETWEEN $1 AND $2{chosen} ORDER BY symbol, ex_date, kind",
        (first, last, *parameters),
    )
    return rows.cast(ACTION_ROWS)


def read_pending_actions(
    transaction: BulkTransaction, symbols: Sequence[str] | None = None
) -> list[tuple[str, date, str]]:
    """Symbol, ex-date and kind of what ``publish_actions`` would touch, of all symbols or of those given."""
    chosen, parameters = ("", ()) if symbols is None else (" AND symbol = ANY($1)", (list(symbols),))
    pending = " OR ".join(f"({condition})" for condition in PENDING.values())
    rows = transaction.read(
        f"SELECT DISTINCT symbol, ex_date, kind FROM corporate_actions WHERE ({pending}){chosen} ORDER BY 1, 2, 3",
        parameters,
    )
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def publish_actions(transaction: BulkTransaction, generation: int, symbols: Sequence[str] | None = None) -> int:
    """From ``generation`` on figures take into account what is stated and disregard what was withdrawn.

    For all symbols, or for those given; returns how many rows were touched. Call it in the transaction that publishes
    the closes these actions belong to. A row withdrawn before it was published never counts.
    """
    chosen, parameters = ("", ()) if symbols is None else (" AND symbol = ANY($2)", (list(symbols),))
    touched = 0
    for column, condition in PENDING.items():
        rows = transaction.read(
            f"UPDATE corporate_actions SET {column} = $1 WHERE {condition}{chosen} RETURNING action_id",
            (generation, *parameters),
        )
        touched += int(rows.num_rows)
    return touched


def replace_actions(
    transaction: BulkTransaction,
    changes: Sequence[ActionChange],
    *,
    source: str,
    run_id: str,
    sources: Mapping[str, str] | None = None,
) -> None:
    """Withdraw the old and state the new terms of each change.

    ``sources`` has the source of the symbols of which it is not ``source``.
    """
    withdrawn = [item for item in changes if item.old is not None]
    if withdrawn:
        keys = _key_columns(withdrawn)
        with transaction.scratch_table(
            "withdrawn_actions", {"symbol": "text", "ex_date": "date", "kind": "text"}, pa.table(keys)
        ) as scratch:
            transaction.execute(
                f"UPDATE corporate_actions AS stated SET withdrawn_at = now() FROM {scratch} AS gone "
                "WHERE (stated.symbol, stated.ex_date, stated.kind) = (gone.symbol, gone.ex_date, gone.kind) "
                f"AND {IS_STATED}"
            )
    added = [(item, item.new) for item in changes if item.new is not None]
    amounts = [terms.amount for _, terms in added]
    rows = {
        **_key_columns([item for item, _ in added]),
        "ratio_numerator": pa.array([terms.ratio_numerator for _, terms in added], pa.int64()),
        "ratio_denominator": pa.array([terms.ratio_denominator for _, terms in added], pa.int64()),
        "amount": decimal_array(
            np.array([amount or 0 for amount in amounts], dtype=np.int64),
            precision=14,
            scale=DIVIDEND_DIGITS,
            null=np.array([amount is None for amount in amounts], dtype=np.bool_),
        ),
        "source": _texts((sources or {}).get(item.symbol, source) for item, _ in added),
        "run_id": pa.repeat(run_id, len(added)),
    }
    transaction.append("corporate_actions", pa.table(rows))


def log_changed_actions(
    transaction: BulkTransaction, changes: Sequence[ActionChange], *, reason: str, run_id: str
) -> None:
    """Keep the old and new terms of actions that concern sessions already stored."""
    keys = _key_columns(changes)
    log = {
        "symbol": keys["symbol"],
        "price_date": keys["ex_date"],
        "kind": keys["kind"],
        "old_terms": _texts(None if item.old is None else str(item.old) for item in changes),
        "new_terms": _texts(None if item.new is None else str(item.new) for item in changes),
        "reason": pa.repeat(reason, len(changes)),
        "run_id": pa.repeat(run_id, len(changes)),
    }
    transaction.append("restatements", pa.table(log))


def _key_columns(changes: Sequence[ActionChange]) -> dict[str, pa.Array]:
    return {
        "symbol": _texts(item.symbol for item in changes),
        "ex_date": pa.array([item.ex_date for item in changes], pa.date32()),
        "kind": _texts(item.kind for item in changes),
    }


def _texts(words: Iterable[str | None]) -> pa.Array:
    return pa.array(list(words), pa.string())
