"""How much one owner may store: what keeps every book small enough to be read at once and exact to the cent.

A book whose amounts do not fit the ledger's integers would keep everybody's snapshots from being published.
"""

from collections.abc import Callable, Collection
from decimal import Decimal

import sqlalchemy as sa

from sigmasight_api.books import PRIVATE, Book, Lot
from sigmasight_api.repository import LOTS
from sigmasight_api.valuation import MONEY_UNITS, LotValue, lot_values
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import BookError
from sigmasight_assets.position_rules import LARGEST_AMOUNT
from sigmasight_assets.positions_file import MAX_LINES
from sigmasight_assets.storage.book_tables import capital_flows, portfolios

# As many as a file may hold, so that every book can be taken away as one.
MAX_LOTS = MAX_LINES
MAX_PORTFOLIOS = 1_000
MAX_FLOWS = 10_000
MAX_VALUATIONS = 10_000
# Of symbols that nobody has priced yet: the ledger can hold so many at 92,000 USD a share.
MAX_UNPRICED_SHARES = 1_000_000
NAMED_SYMBOLS = 20

ViewOf = Callable[[Collection[str]], MarketView]


def require_room_for_lots(connection: sa.Connection, book: Book, view_of: ViewOf) -> None:
    """Raise ``BookError``, with the way out, when the lots of the book are too many or come to too much."""
    lots = [Lot(*row) for row in connection.execute(LOTS, {"portfolio": book.portfolio_id})]
    if len(lots) > MAX_LOTS:
        raise BookError(
            f"The portfolio would hold {len(lots):,} positions; {MAX_LOTS:,} are the most: delete those closed long "
            "ago, or open another portfolio"
        )
    view = view_of({lot.symbol for lot in lots})
    worths = lot_values(lots, view)
    total = sum((_largest(lot, worth) for lot, worth in zip(lots, worths, strict=True)), Decimal(0))
    if total > LARGEST_AMOUNT:
        raise BookError(
            f"The positions would come to more than {LARGEST_AMOUNT:,} USD, which cannot be exact: look for a quantity "
            "that is too large, or open another portfolio"
        )
    unpriced = [lot for lot, worth in zip(lots, worths, strict=True) if worth.close is None and _is_priced(lot, book)]
    if sum(abs(lot.quantity) * lot.multiplier for lot in unpriced) > MAX_UNPRICED_SHARES:
        names = ", ".join(sorted({lot.symbol for lot in unpriced})[:NAMED_SYMBOLS])
        raise BookError(
            f"Of symbols without a price yet ({names}) a portfolio holds at most {MAX_UNPRICED_SHARES:,} shares in "
            "all; enter the rest once they are ready"
        )


def _is_priced(lot: Lot, book: Book) -> bool:
    """Whether a snapshot finds the lot held, and values it at a price of the market."""
    return lot.investment_class != PRIVATE and (lot.exit_date is None or lot.exit_date > book.as_of)


def _largest(lot: Lot, worth: LotValue) -> Decimal:
    """The most that the lot adds to any sum of the ledger, USD."""
    price = max(lot.entry_price or Decimal(0), lot.exit_price or Decimal(0))
    traded = abs(lot.quantity) * lot.multiplier * price
    return max(traded, abs(Decimal(worth.value or 0)) / MONEY_UNITS, *lot.valuations)


def require_room_for_flows(connection: sa.Connection, book: Book) -> None:
    """Raise ``BookError``, with the way out, when the flows of the book are too many or come to too much."""
    flows = capital_flows.c
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.abs(flows.amount)), 0))
    count, moved = connection.execute(query.where(flows.portfolio_id == book.portfolio_id)).one()
    if count > MAX_FLOWS:
        raise BookError(
            f"The portfolio would have {count:,} capital flows; {MAX_FLOWS:,} are the most: add up old ones"
        )
    equity = sa.select(sa.func.abs(portfolios.c.stated_equity)).where(portfolios.c.portfolio_id == book.portfolio_id)
    if moved + connection.execute(equity).scalar_one() > LARGEST_AMOUNT:
        raise BookError(
            f"Equity and capital flows would come to more than {LARGEST_AMOUNT:,} USD, which cannot be exact"
        )


def require_room_for_portfolio(connection: sa.Connection, user_id: int) -> None:
    """Raise ``BookError`` when the user has as many portfolios as anybody may have."""
    query = sa.select(sa.func.count()).where(portfolios.c.user_id == user_id)
    if connection.execute(query).scalar_one() >= MAX_PORTFOLIOS:
        raise BookError(f"There are {MAX_PORTFOLIOS:,} portfolios, which is the most: delete one first")
