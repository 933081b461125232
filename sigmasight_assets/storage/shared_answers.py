"""Answers of the API that took long to compute, shared by its processes: one per portfolio and kind, found by content.

The key is a digest of everything that the answer was computed from, so a row that is found is right.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.storage.operations_tables import portfolio_analytics_cache


@dataclass(frozen=True, slots=True)
class SharedAnswer:
    """The JSON document of an answer, under the digest of what it was computed from."""

    portfolio_id: int
    kind: str
    key: bytes
    generation: int
    body: bytes


def find_answer(connection: sa.Connection, portfolio_id: int, kind: str, key: bytes) -> bytes | None:
    """The document of the portfolio under this key, None when there is none."""
    columns = portfolio_analytics_cache.c
    found: bytes | None = connection.execute(
        sa.select(columns.body).where(
            columns.portfolio_id == portfolio_id, columns.kind == kind, columns.answer_key == key
        )
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def keep_answer(connection: sa.Connection, answer: SharedAnswer) -> None:
    """Put the answer in the place of the portfolio's earlier one of the kind, unless that is of a newer generation."""
    statement = insert(portfolio_analytics_cache).values(
        portfolio_id=answer.portfolio_id,
        kind=answer.kind,
        answer_key=answer.key,
        generation=answer.generation,
        body=answer.body,
    )
    new, columns = statement.excluded, portfolio_analytics_cache.c
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["portfolio_id", "kind"],
            set_={name: new[name] for name in ("answer_key", "generation", "body")} | {"stored_at": sa.func.now()},
            where=columns.generation <= new.generation,
        )
    )


def forget_superseded(connection: sa.Connection, generation: int) -> int:
    """Delete the answers of generations before this one; returns how many."""
    columns = portfolio_analytics_cache.c
    return connection.execute(sa.delete(portfolio_analytics_cache).where(columns.generation < generation)).rowcount
