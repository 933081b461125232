"""How much of each product a session has, and what it lacks by reason: the operators' calendar."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sigmasight_assets.operations.freshness import PORTFOLIO_PRODUCTS
from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.portfolios import STALE_FROM
from sigmasight_assets.storage.snapshots import read_consumed
from sigmasight_assets.storage.tables import factor_covariances, symbol_exclusions

SNAPSHOTS = PORTFOLIO_PRODUCTS[0]
COVARIANCES = "factor_covariances"
# Of symbols that do not trade at the session nothing is expected.
NOT_EXPECTED = ("delisted", "not_listed_yet")
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Lack:
    """Symbols without a row of a product for one reason; ``named`` are the first of them in alphabetical order."""

    reason: str
    symbols: int
    named: list[str]


@dataclass(frozen=True, slots=True)
class ProductCoverage:
    """A product at a session: ``rows`` that there are of those ``expected``.

    ``expected`` are rows and symbols without one, but for those that do not trade; of snapshots, the portfolios that
    had begun, with rows those whose snapshots are up to date; of covariances, one matrix.
    """

    session: date
    product: str
    rows: int
    expected: int
    lacks: list[Lack] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """Rows / expected, dimensionless; None when nothing is expected."""
        return self.rows / self.expected if self.expected else None


def read_product_coverage(connection: sa.Connection, sessions: Collection[date]) -> list[ProductCoverage]:
    """Every product with rows at the sessions, each session by itself, the products in the order they are made in."""
    lacks = _read_lacks(connection, sessions)
    found = []
    for product in PRODUCT_TABLES:
        rows = _counted(connection, PRODUCT_TABLES[product].table, PRODUCT_TABLES[product].date_column, sessions)
        for day in sessions:
            of_product = lacks[day, product]
            expected = rows.get(day, 0) + sum(item.symbols for item in of_product)
            found.append(ProductCoverage(day, product, rows.get(day, 0), expected, of_product))
    matrices = _counted(connection, factor_covariances, "session", sessions)
    found += [ProductCoverage(day, COVARIANCES, matrices.get(day, 0), 1) for day in sessions]
    return found + _read_snapshots(connection, sessions)


def _counted(connection: sa.Connection, table: sa.Table, column: str, sessions: Iterable[date]) -> dict[date, int]:
    day = table.c[column]
    query = sa.select(day, sa.func.count()).where(day.in_(list(sessions))).group_by(day)
    return {row[0]: row[1] for row in connection.execute(query)}


def _read_snapshots(connection: sa.Connection, sessions: Iterable[date]) -> list[ProductCoverage]:
    """By what portfolios say of their snapshots: to count those of a session, all of a year would have to be read."""
    terms = (portfolios.c.as_of, STALE_FROM)
    groups = connection.execute(sa.select(*terms, sa.func.count().label("portfolios")).group_by(*terms)).all()
    consumed = read_consumed(connection)
    found = []
    for day in sessions:
        begun = [row for row in groups if row.as_of <= day]
        current = [row.portfolios for row in begun if row.stale_from is None or row.stale_from > day]
        rows = sum(current) if day in consumed else 0
        found.append(ProductCoverage(day, SNAPSHOTS, rows, sum(row.portfolios for row in begun)))
    return found


def _read_lacks(connection: sa.Connection, sessions: Iterable[date]) -> defaultdict[tuple[date, str], list[Lack]]:
    columns = (symbol_exclusions.c.session, symbol_exclusions.c.product, symbol_exclusions.c.reason)
    named = sa.func.array_agg(aggregate_order_by(symbol_exclusions.c.symbol, symbol_exclusions.c.symbol))
    query = (
        sa.select(*columns, sa.func.count().label("symbols"), named.label("named"))
        .where(symbol_exclusions.c.session.in_(list(sessions)), symbol_exclusions.c.reason.not_in(NOT_EXPECTED))
        .group_by(*columns)
        .order_by(*columns)
    )
    found = defaultdict[tuple[date, str], list[Lack]](list)
    for row in connection.execute(query):
        found[row.session, row.product].append(Lack(row.reason, row.symbols, row.named[:MOST_NAMED]))
    return found
