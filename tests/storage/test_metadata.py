"""Tests of the schema's shared parts: one naming convention, one way of stating columns."""

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage import book_tables, ledger_tables
from sigmasight_assets.storage.metadata import (
    MONEY,
    PRICE,
    QUANTITY,
    column,
    identity_key,
    partitioned_by_year,
    required_key,
    written_at,
)
from tests.contents import TABLES


def test_a_column_is_required_unless_said_otherwise() -> None:
    assert not column("price", PRICE, "USD").nullable
    assert column("price", PRICE, "USD", null=True).nullable
    assert column("price", PRICE, "USD", server_default="0").server_default is not None


def test_keys_are_written_or_counted() -> None:
    assert required_key("session", sa.Date, "Session").autoincrement is False
    counted = identity_key("id", "Number")
    assert counted.identity is not None
    assert counted.identity.always


def test_an_instant_knows_its_time_zone() -> None:
    written = written_at("at", "When")
    assert isinstance(written.type, sa.DateTime)
    assert written.type.timezone


def test_exact_types_hold_what_the_ledger_computes() -> None:
    assert [(kind.precision, kind.scale) for kind in (PRICE, QUANTITY, MONEY)] == [(14, 4), (18, 4), (28, 8)]


def test_owners_money_is_never_in_binary_floats() -> None:
    owners = (book_tables.portfolios, book_tables.positions, book_tables.capital_flows)
    results = (ledger_tables.portfolio_snapshots, ledger_tables.portfolio_lot_values)
    money = [item for table in (*owners, *results) for item in table.columns if "USD" in str(item.comment)]
    assert len(money) > 15
    exact = (sa.Numeric, sa.BigInteger)
    assert [item for item in money if type(getattr(item.type, "item_type", item.type)) not in exact] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
class TestEveryTable:
    def test_says_what_it_and_its_columns_hold(self, table: sa.Table) -> None:
        assert table.comment
        assert [item.name for item in table.columns if not item.comment] == []

    def test_names_its_constraints_by_the_convention(self, table: sa.Table) -> None:
        prefixes = ("pk_", "uq_", "ck_", "fk_")
        assert [item for item in table.constraints if not str(item.name).startswith(prefixes)] == []
        assert [index for index in table.indexes if not str(index.name).startswith("ix_")] == []

    def test_has_a_primary_key_that_holds_the_date_of_its_partitions(self, table: sa.Table) -> None:
        key = [item.name for item in table.primary_key]
        assert key
        rule = table.dialect_options["postgresql"]["partition_by"]
        assert bool(rule) is bool(table.info.get("partitioned"))
        assert not rule or any(partitioned_by_year(name)["postgresql_partition_by"] == rule for name in key)
