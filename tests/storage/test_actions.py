"""Tests of splits and dividends as stated and as published: rows come and go, and none is rewritten."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.actions import (
    ACTION_ROWS,
    ActionChange,
    Terms,
    log_changed_actions,
    publish_actions,
    read_pending_actions,
    read_published_actions,
    read_stated_actions,
    replace_actions,
)
from sigmasight_assets.storage.database import Database

MARCH, JUNE = date(2025, 3, 10), date(2025, 6, 10)
QUARTER, THIRD = Terms(None, None, 250_000), Terms(None, None, 333_333)
FOUR_FOR_ONE = Terms(4, 1, None)

Row = tuple[str, date, str, int | None, int | None, int | None]


def new(symbol: str, ex_date: date, terms: Terms) -> ActionChange:
    return ActionChange(symbol, ex_date, "dividend" if terms.amount else "split", None, terms)


def row(change: ActionChange) -> Row:
    assert change.new is not None
    terms = change.new
    return (
        change.symbol,
        change.ex_date,
        change.kind,
        terms.ratio_numerator,
        terms.ratio_denominator,
        terms.amount,
    )


A_SPLIT, A_PAYS, B_PAYS = new("AAA", JUNE, FOUR_FOR_ONE), new("AAA", JUNE, QUARTER), new("BBB", MARCH, THIRD)
ALL = [A_PAYS, A_SPLIT, B_PAYS]


def store(database: Database, *changes: ActionChange, run_id: str = "r1") -> None:
    with database.bulk() as transaction:
        replace_actions(transaction, changes, source="test", run_id=run_id)


def publish(database: Database, generation: int, symbols: Sequence[str] | None = None) -> int:
    with database.bulk() as transaction:
        return publish_actions(transaction, generation, symbols)


def pending(database: Database, symbols: Sequence[str] | None = None) -> list[tuple[str, date, str]]:
    with database.bulk(read_only=True) as transaction:
        return read_pending_actions(transaction, symbols)


def stated(database: Database, first: date = date.min, last: date = date.max, **chosen: Any) -> list[Row]:
    with database.bulk(read_only=True) as transaction:
        found = read_stated_actions(transaction, first=first, last=last, **chosen)
    assert found.schema == ACTION_ROWS
    return [tuple(item.values()) for item in found.to_pylist()]


def published(database: Database, symbols: Sequence[str] | None = None) -> list[Row]:
    with database.bulk(read_only=True) as transaction:
        found = read_published_actions(transaction, symbols)
    assert found.schema == ACTION_ROWS
    return [tuple(item.values()) for item in found.to_pylist()]


def stored(database: Database) -> list[dict[str, Any]]:
    with database.begin() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM corporate_actions ORDER BY action_id").mappings()
        return [dict(item) for item in rows]


def test_stated_actions_come_back_by_symbol_date_and_kind(database: Database) -> None:
    assert stated(database) == []
    store(database, B_PAYS, A_SPLIT, A_PAYS)
    assert stated(database) == [row(item) for item in ALL]
    assert stated(database, JUNE, JUNE) == [row(A_PAYS), row(A_SPLIT)]
    assert stated(database, MARCH, MARCH) == [row(B_PAYS)]
    assert stated(database, symbols=["BBB", "CCC"]) == [row(B_PAYS)]
    assert stated(database, symbols=[]) == []
    first = stored(database)[0]
    assert (first["source"], first["run_id"], str(first["amount"])) == ("test", "r1", "0.333333")
    assert first["learnt_at"].tzinfo is not None


def test_nothing_is_published_before_it_is_told_to_be(database: Database) -> None:
    store(database, *ALL)
    assert published(database) == []
    assert publish(database, 3) == 3
    assert published(database) == [row(item) for item in ALL]
    assert published(database, ["BBB"]) == [row(B_PAYS)]
    assert publish(database, 4) == 0
    assert {item["generation"] for item in stored(database)} == {3}


def test_symbols_are_published_one_by_one(database: Database) -> None:
    store(database, *ALL)
    assert publish(database, 3, ["AAA", "CCC"]) == 2
    assert published(database) == [row(A_PAYS), row(A_SPLIT)]
    assert publish(database, 4, []) == 0
    assert publish(database, 5) == 1
    assert [item["generation"] for item in stored(database)] == [3, 3, 5]


def test_pending_is_what_the_next_publication_touches(database: Database) -> None:
    assert pending(database) == []
    store(database, *ALL)
    assert pending(database) == [("AAA", JUNE, "dividend"), ("AAA", JUNE, "split"), ("BBB", MARCH, "dividend")]
    assert pending(database, ["BBB", "CCC"]) == [("BBB", MARCH, "dividend")]
    assert pending(database, []) == []
    publish(database, 3)
    assert pending(database) == []
    store(database, ActionChange("AAA", JUNE, "dividend", QUARTER, THIRD))
    # Told once, although one row goes and another comes.
    assert pending(database) == [("AAA", JUNE, "dividend")]
    store(database, ActionChange("AAA", JUNE, "dividend", THIRD, None))
    assert pending(database) == [("AAA", JUNE, "dividend")]
    publish(database, 4)
    store(database, new("AAA", JUNE, THIRD))
    store(database, ActionChange("AAA", JUNE, "dividend", THIRD, None))
    assert pending(database) == []


def test_changed_terms_are_a_withdrawn_row_and_a_new_one(database: Database) -> None:
    store(database, *ALL)
    publish(database, 3)
    before = stored(database)
    store(database, ActionChange("AAA", JUNE, "dividend", QUARTER, THIRD), run_id="r2")
    changed = new("AAA", JUNE, THIRD)
    assert stated(database) == [row(changed), row(A_SPLIT), row(B_PAYS)]
    # What is published still belongs to the closes that are published.
    assert published(database) == [row(item) for item in ALL]
    after = stored(database)
    assert [item for item in after if item["withdrawn_at"] is None and item["run_id"] == "r1"] == before[1:]
    assert {name for name in before[0] if before[0][name] != after[0][name]} == {"withdrawn_at"}
    assert publish(database, 4) == 2
    assert published(database) == [row(changed), row(A_SPLIT), row(B_PAYS)]
    assert [(item["generation"], item["withdrawn_generation"]) for item in stored(database)] == [
        (3, 4),
        (3, None),
        (3, None),
        (4, None),
    ]


def test_withdrawn_action_stays_published_until_the_next_publication(database: Database) -> None:
    store(database, *ALL)
    publish(database, 3)
    store(database, ActionChange("AAA", JUNE, "split", FOUR_FOR_ONE, None))
    assert stated(database) == [row(A_PAYS), row(B_PAYS)]
    assert published(database) == [row(item) for item in ALL]
    assert publish(database, 4, ["BBB"]) == 0
    assert publish(database, 5, ["AAA"]) == 1
    assert published(database) == [row(A_PAYS), row(B_PAYS)]
    # It may be stated again.
    store(database, A_SPLIT)
    assert publish(database, 6) == 1
    assert published(database) == [row(item) for item in ALL]
    # And withdrawn again, which leaves the first time as it was.
    before = stored(database)
    store(database, ActionChange("AAA", JUNE, "split", FOUR_FOR_ONE, None))
    assert [item for item in stored(database) if item not in before] == [stored(database)[-1]]


def test_action_withdrawn_before_it_was_published_never_counts(database: Database) -> None:
    store(database, A_PAYS)
    store(database, ActionChange("AAA", JUNE, "dividend", QUARTER, None))
    assert publish(database, 3) == 0
    assert published(database) == []


def test_no_change_writes_nothing(database: Database) -> None:
    store(database, *ALL)
    before = stored(database)
    store(database)
    assert stored(database) == before


def test_what_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(StorageError, match="ix_corporate_actions_stated"):
        store(database, A_SPLIT, B_PAYS, A_SPLIT)
    assert stored(database) == []


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (FOUR_FOR_ONE, "4:1"),
        (Terms(1, 10, None), "1:10"),
        (Terms(None, None, 240_000), "0.24"),
        (Terms(None, None, 1), "0.000001"),
        (Terms(None, None, 12_000_000), "12"),
        (Terms(None, None, 100_000_000), "100"),
    ],
)
def test_terms_as_people_read_them(terms: Terms, text: str) -> None:
    assert str(terms) == text


@pytest.mark.parametrize(
    ("old", "new_terms", "sort", "text"),
    [
        (None, QUARTER, "new", "dividend 0.25 of 2025-06-10"),
        (QUARTER, THIRD, "changed", "dividend 0.333333 of 2025-06-10, formerly 0.25"),
        (QUARTER, None, "withdrawn", "dividend 0.25 of 2025-06-10 withdrawn"),
    ],
)
def test_changes_as_people_read_them(old: Terms | None, new_terms: Terms | None, sort: str, text: str) -> None:
    change = ActionChange("AAA", JUNE, "dividend", old, new_terms)
    assert (change.sort, str(change)) == (sort, text)


def test_log_keeps_old_and_new_terms(database: Database) -> None:
    changes = [
        ActionChange("AAA", JUNE, "split", None, FOUR_FOR_ONE),
        ActionChange("BBB", MARCH, "dividend", QUARTER, THIRD),
        ActionChange("CCC", MARCH, "dividend", QUARTER, None),
    ]
    with database.bulk() as transaction:
        log_changed_actions(transaction, changes, reason="why", run_id="r1")
        log_changed_actions(transaction, [], reason="why", run_id="r2")
    with database.begin() as connection:
        log = connection.exec_driver_sql("SELECT * FROM restatements ORDER BY restatement_id").mappings().all()
    names = ("symbol", "price_date", "kind", "old_terms", "new_terms", "reason", "run_id", "old_close_price")
    assert [tuple(item[name] for name in names) for item in log] == [
        ("AAA", JUNE, "split", None, "4:1", "why", "r1", None),
        ("BBB", MARCH, "dividend", "0.25", "0.333333", "why", "r1", None),
        ("CCC", MARCH, "dividend", "0.25", None, "why", "r1", None),
    ]
