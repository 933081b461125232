"""The schema of an asset's table as Dagster shows it, taken from the table itself."""

from collections.abc import Iterator

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves its constructor without types


def table_schema(table: sa.Table) -> dg.TableSchema:
    """Columns with SQL type, comment and constraints; keys of several columns belong to the table."""
    columns = [
        dg.TableColumn(
            item.name,
            type=item.type.compile(dialect=_DIALECT).lower(),
            description=item.comment,
            constraints=dg.TableColumnConstraints(
                nullable=bool(item.nullable), unique=_is_unique(table, item), other=list(_other(table, item))
            ),
        )
        for item in table.columns
    ]
    return dg.TableSchema(columns, dg.TableConstraints(list(_table_constraints(table))))


def table_name(table: sa.Table) -> str:
    """Its qualified name."""
    return f"{table.schema or 'public'}.{table.name}"


def _keys(table: sa.Table) -> Iterator[sa.PrimaryKeyConstraint | sa.UniqueConstraint]:
    for item in table.constraints:
        if isinstance(item, sa.PrimaryKeyConstraint | sa.UniqueConstraint):
            yield item


def _is_unique(table: sa.Table, column: sa.Column[object]) -> bool:
    return any(list(key.columns) == [column] for key in _keys(table))


def _other(table: sa.Table, column: sa.Column[object]) -> Iterator[str]:
    if column.primary_key:
        yield "primary key" if len(table.primary_key) == 1 else "part of the primary key"
    for key in column.foreign_keys:
        yield f"references {key.target_fullname}"


def _table_constraints(table: sa.Table) -> Iterator[str]:
    for key in sorted(_keys(table), key=lambda key: not isinstance(key, sa.PrimaryKeyConstraint)):
        if len(key.columns) > 1:
            kind = "primary key" if isinstance(key, sa.PrimaryKeyConstraint) else "unique"
            yield f"{kind} ({', '.join(item.name for item in key.columns)})"
    rule = table.dialect_options["postgresql"]["partition_by"]
    if rule:
        yield f"partitioned by {rule}"
