"""The schema's shared parts: naming convention, column shorthands and the yearly partitioning rule.

Tables themselves are in ``tables``, ``book_tables``, ``ledger_tables`` and ``operations_tables``; ``schema`` imports
all of them.
"""

from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Years whose partitions a migration has made; later ones are made in time (`partitions`), and other dates go to the
# partition `<table>_rest`.
FIRST_PARTITION_YEAR = 2020
LAST_PARTITION_YEAR = 2035

PRICE = sa.Numeric(14, 4)
QUANTITY = sa.Numeric(18, 4)
MONEY = sa.Numeric(28, 8)
DIVIDEND = sa.Numeric(14, 6)
INSTANT = sa.DateTime(timezone=True)


def column(name: str, kind: Any, comment: str, *, null: bool = False, **options: Any) -> sa.Column[Any]:
    """A column that is required unless said otherwise and always says what it holds and in what unit."""
    return sa.Column(name, kind, comment=comment, nullable=null, **options)


def required_key(name: str, kind: Any, comment: str) -> sa.Column[Any]:
    """A primary key column whose value the writer supplies."""
    return sa.Column(name, kind, primary_key=True, autoincrement=False, comment=comment)


def identity_key(name: str, comment: str) -> sa.Column[Any]:
    """A primary key the database counts up."""
    return sa.Column(name, sa.BigInteger, sa.Identity(always=True), primary_key=True, comment=comment)


def written_at(name: str, comment: str) -> sa.Column[Any]:
    """A timestamp that defaults to the writing transaction's."""
    return sa.Column(name, INSTANT, server_default=sa.func.now(), nullable=False, comment=comment)


def partitioned_by_year(date_column: str) -> dict[str, Any]:
    """Table options of a range-partitioned table; the migration creates the partitions."""
    return {"postgresql_partition_by": f"RANGE ({date_column})", "info": {"partitioned": True}}
