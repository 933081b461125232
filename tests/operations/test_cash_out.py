"""The end of a delisting: every open lot of the symbol closed in one transaction with its audit."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from sigmasight_assets.errors import BookError, DecisionError, NotFoundError, SigmaSightError
from sigmasight_assets.operations.cash_out import cash_out
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from tests.operations.test_failure_state import track
from tests.orchestration.contents import execute, rows_of

ENDED, PAID = date(2025, 7, 21), date(2025, 7, 24)
NOW = datetime(2025, 7, 25, 3, tzinfo=UTC)
WHY = {"actor": "pat", "reason": "merger, paid in cash"}


@pytest.fixture
def held(database: Database) -> Database:
    """Two owners with lots of a delisted symbol, one of them sold before, and with other positions."""
    track(database, "GONE", status="delisted", last_price_date=ENDED, first_trade_date=date(2024, 1, 2))
    track(database, "AAA", last_price_date=ENDED)
    track(database, "BARE", status="delisted", last_price_date=ENDED)
    bought = date(2025, 5, 1)
    sold = NewLot("GONE", Decimal(7), Decimal(10), bought, Decimal(11), date(2025, 6, 2))
    private = NewLot(
        "GONE", Decimal(1), None, bought, investment_class="PRIVATE", market_value=Decimal(5), valued_on=bought
    )
    books = {
        "ann": [NewLot("GONE", Decimal(10), Decimal(10), bought), NewLot("AAA", Decimal(1), Decimal(10), bought), sold],
        "bob": [
            NewLot("GONE", Decimal(-3), Decimal(12), bought),
            NewLot("GONE", Decimal(2), Decimal(9), bought),
            private,
        ],
    }
    with database.begin() as connection:
        for user, lots in books.items():
            create_portfolio(connection, user=user, name="Book", equity=Decimal(1000), as_of=bought, lots=lots)
    execute(database, "UPDATE portfolios SET stale_from = NULL")
    return database


def open_lots(database: Database) -> list[tuple[str, str, str]]:
    rows = rows_of(
        database,
        "SELECT symbol, investment_class, quantity FROM positions WHERE exit_date IS NULL ORDER BY position_id",
    )
    return [(row["symbol"], row["investment_class"], f"{row['quantity']:f}") for row in rows]


def test_every_open_lot_is_closed_at_the_price(held: Database) -> None:
    done = cash_out(held, "GONE", on=PAID, price=Decimal("17.25"), now=NOW, **WHY)
    assert (done.lots, done.portfolios) == (3, 2)
    assert open_lots(held) == [("AAA", "PUBLIC", "1.0000"), ("GONE", "PRIVATE", "1.0000")]
    closed = rows_of(held, "SELECT exit_price, exit_date FROM positions WHERE exit_date = :paid", paid=PAID)
    assert [row["exit_price"] for row in closed] == [Decimal("17.2500")] * 3
    # Snapshots from the payment on are to be computed anew, those before it are not.
    assert [row["stale_from"] for row in rows_of(held, "SELECT stale_from FROM portfolios")] == [PAID, PAID]
    (action,) = rows_of(held, "SELECT * FROM operator_actions")
    assert (action["kind"], action["symbol"], action["session"]) == ("cash_out", "GONE", PAID)
    assert (action["actor"], action["reason"]) == ("pat", "merger, paid in cash")
    assert action["details"]["price"] == "17.25"
    assert len(action["details"]["position_ids"]) == 3
    assert done.action_id == action["action_id"]


@pytest.mark.parametrize(
    ("symbol", "on", "price", "error", "message"),
    [
        ("NOSUCH", PAID, "1", NotFoundError, "NOSUCH is not tracked"),
        ("AAA", PAID, "1", DecisionError, "AAA is active, not delisted"),
        ("BARE", PAID, "1", DecisionError, "BARE has no open PUBLIC lot"),
        ("GONE", date(2025, 7, 20), "1", DecisionError, "GONE traded until 2025-07-21, after 2025-07-20"),
        ("GONE", date(2025, 7, 25), "1", DecisionError, "2025-07-25 is still to come"),
        ("GONE", PAID, "1.00001", BookError, "GONE: the exit price 1.00001 is not an amount"),
        ("GONE", PAID, "-1", BookError, "GONE: the exit price -1 is not an amount"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(  # noqa: PLR0917
    held: Database, symbol: str, on: date, price: str, error: type[SigmaSightError], message: str
) -> None:
    before = open_lots(held)
    with pytest.raises(error, match=message):
        cash_out(held, symbol, on=on, price=Decimal(price), now=NOW, **WHY)
    assert open_lots(held) == before
    assert rows_of(held, "SELECT * FROM operator_actions") == []


def test_a_second_time_there_is_nothing_to_close(held: Database) -> None:
    cash_out(held, "GONE", on=PAID, price=Decimal(0), now=NOW, **WHY)
    with pytest.raises(DecisionError, match="GONE has no open PUBLIC lot"):
        cash_out(held, "GONE", on=PAID, price=Decimal(0), now=NOW, **WHY)
