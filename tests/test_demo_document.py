"""``docs/demo.md`` is true: the demo is built at the document's clock, and every number of its tables is compared."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest

from sigmasight_assets.demo import demo_sessions, store_books
from sigmasight_assets.demo_books import demo_books
from sigmasight_assets.demo_market import read_demo_market
from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import read_held_symbols
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.orchestration.contents import rows_of

DOCUMENT = (Path(__file__).resolve().parents[1] / "docs/demo.md").read_text(encoding="utf-8")
NOW = "2026-06-30T22:00:00-04:00"
NEWEST = date(2026, 6, 30)
INVESTED = ("Diversified", "Long-short", "Options", "Private", "Margin")

Rows = list[dict[str, Any]]
Table = list[list[str]]


@pytest.fixture(scope="module")
def database(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    """The demo as ``make run`` makes it, without Dagster in between."""
    with new_database(schema_template) as url:
        handle = Database(url)
        build(handle, Settings(now=datetime.fromisoformat(NOW)))
        yield handle
        handle.close()


def build(database: Database, settings: Settings) -> None:
    calendar = exchange_calendar()
    source = build_source(settings, calendar)
    sessions = demo_sessions(source, calendar, settings)
    with database.begin() as connection:
        import_listings(connection, source.listings())
        store_books(connection, demo_books(source, calendar, read_demo_market(source, calendar, sessions)))
        contracts = [symbol for symbol, held_as in read_held_symbols(connection).items() if held_as == "OPTIONS"]
        import_listings(connection, [Listing(symbol, symbol, "option", None, None) for symbol in contracts])
    run: dict[str, Any] = {"sessions": sessions, "run_id": "demo"}
    update_prices(database, source, calendar, history_start=settings.history_start, **run)
    update_profiles(database, source, exchange_calendar(), sessions=sessions, newest_session=sessions[-1])
    symbols = publish_symbol_products(database, calendar, min_coverage=settings.min_coverage, **run)
    portfolios = publish_portfolio_products(database, calendar, **run)
    assert (symbols.published, symbols.failed) == (portfolios.published, portfolios.failed) == (sessions, [])


def documented(heading: str) -> list[Table]:
    """The tables under a heading, each with its header row."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    tables = re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
    cells = [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in tables]
    return [[table[0], *table[2:]] for table in cells]


def shown(value: Any, places: int = 2) -> str:
    """A number as the document has it, rounded half to even; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, Decimal | float):
        return f"{Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN):,f}"
    return ", ".join(value) or "-" if isinstance(value, list) else str(value)


def table(columns: Mapping[str, str], rows: Rows, *, places: Mapping[str, int] | None = None) -> Table:
    """A table of the columns (title by name) of the rows; money has cents, ``places`` tells what has not."""
    digits = places or {}
    body = [[shown(row[name], digits.get(name, 2)) for name in columns] for row in rows]
    return [list(columns.values()), *body]


SNAPSHOTS = """
SELECT portfolios.name, snapshot.*, held.exposure AS market_beta
FROM portfolio_snapshots AS snapshot JOIN portfolios USING (portfolio_id)
LEFT JOIN portfolio_factor_exposures AS held
  ON (held.portfolio_id, held.session, held.factor) = (snapshot.portfolio_id, snapshot.session, 'Market Beta')
ORDER BY portfolio_id, snapshot.session
"""
LOTS = """
SELECT lot.*, held.session, held.price_used, held.market_value, held.daily_pnl, held.status,
       quantity * split_numerator / split_denominator AS stated_quantity
FROM position_values AS held JOIN positions AS lot USING (position_id)
JOIN portfolios ON portfolios.portfolio_id = lot.portfolio_id
WHERE portfolios.name = :portfolio
ORDER BY lot.position_id, held.session
"""


def snapshots(database: Database) -> dict[str, Rows]:
    """Every snapshot by portfolio, in order."""
    found: dict[str, Rows] = {}
    for row in rows_of(database, SNAPSHOTS):
        found.setdefault(row["name"], []).append(row)
    return found


def lots(database: Database, portfolio: str, *symbols: str, days: Sequence[str] = ()) -> Rows:
    """Values of the lots of some symbols, all of them without any, at some sessions."""
    wanted = {date.fromisoformat(f"2026-{day}") for day in days}
    return [
        row
        for row in rows_of(database, LOTS, portfolio=portfolio)
        if (not symbols or row["symbol"] in symbols) and (not wanted or row["session"] in wanted)
    ]


def newest_tables(database: Database) -> list[Table]:
    columns = {
        "name": "portfolio",
        "equity": "equity",
        "cash": "cash",
        "long_value": "long",
        "short_value": "short",
        "cumulative_pnl": "P&L since the start",
        "positions_count": "positions",
        "missing_symbols": "missing",
    }
    newest = [rows[-1] for rows in snapshots(database).values()]
    assert {row["session"] for row in newest} == {NEWEST}
    return [table(columns, newest)]


def account_tables(database: Database) -> list[Table]:
    rows = []
    for name, taken in snapshots(database).items():
        sums = {kind: sum(row[kind] for row in taken) for kind in ("capital_flow", "realized_pnl", "dividends")}
        unrealized = taken[-1]["unrealized_pnl"] - taken[0]["unrealized_pnl"]
        rows.append({"name": name, "stated": taken[0]["equity"], **sums, "unrealized": unrealized, **taken[-1]} | sums)
    columns = {
        "name": "portfolio",
        "stated": "stated",
        "capital_flow": "paid in",
        "realized_pnl": "realised",
        "unrealized": "change of unrealised",
        "dividends": "dividends",
        "equity": "equity",
    }
    return [table(columns, rows)]


def exposure_tables(database: Database) -> list[Table]:
    stored = rows_of(
        database,
        "SELECT name, factor, exposure, coverage FROM portfolio_factor_exposures JOIN portfolios USING (portfolio_id) "
        "WHERE session = :newest",
        newest=NEWEST,
    )
    found = {(row["name"], row["factor"]): row for row in stored}
    newest = {name: rows[-1] for name, rows in snapshots(database).items()}
    expected = [["factor", *INVESTED]]
    expected += [
        [factor.name, *(shown(found[name, factor.name]["exposure"], 4) for name in INVESTED)] for factor in FACTORS
    ]
    expected.append(["coverage", *(shown(found[name, FACTORS[0].name]["coverage"], 4) for name in INVESTED)])
    expected.append(["the vendor's beta", *(shown(newest[name]["provider_beta"], 4) for name in INVESTED)])
    return [expected]


def diversified_tables(database: Database) -> list[Table]:
    (split,) = rows_of(
        database,
        "SELECT ex_date, ratio_numerator FROM corporate_actions "
        "WHERE symbol = 'LAHA' AND kind = 'split' AND ex_date > '2026-04-06'",
    )
    rows = lots(database, "Diversified", "LAHA", days=("04-06", "06-02", "06-03", "06-04"))
    for row in rows:
        ratio = split["ratio_numerator"] if row["session"] < split["ex_date"] else 1
        row |= {"then": row["stated_quantity"] / ratio, "price_then": row["price_used"] * ratio}
    columns = {
        "session": "session",
        "then": "shares then",
        "price_then": "price then",
        "stated_quantity": "shares",
        "price_used": "close",
        "market_value": "value",
        "daily_pnl": "P&L",
    }
    places = {"then": 0, "stated_quantity": 0, "price_then": 4, "price_used": 4}
    dividends = [row for row in snapshots(database)["Diversified"] if row["dividends"]]
    paid = {"session": "session", "dividends": "dividends", "daily_pnl": "P&L of all"}
    return [table(columns, rows, places=places), table(paid, dividends)]


def long_short_tables(database: Database) -> list[Table]:
    traded = rows_of(
        database,
        "SELECT lot.*, market_value FROM positions AS lot JOIN portfolios USING (portfolio_id) "
        "LEFT JOIN position_values AS held ON held.position_id = lot.position_id AND held.session = :newest "
        "WHERE name = 'Long-short' AND symbol IN ('WAZO', 'FOSI', 'GETE', 'WUBI') ORDER BY lot.position_id",
        newest=NEWEST,
    )
    for row in traded:
        end = row["market_value"] if row["exit_date"] is None else row["exit_price"] * row["quantity"]
        row["pnl"] = end - row["entry_price"] * row["quantity"]
    columns = {"symbol": "symbol", "quantity": "shares", "entry_date": "bought", "entry_price": "at"}
    columns |= {"exit_date": "sold", "exit_price": "for", "market_value": "value", "pnl": "P&L"}
    places = {"quantity": 0, "entry_price": 4, "exit_price": 4}

    paid = rows_of(
        database,
        "SELECT ex_date, symbol, sum(quantity) AS quantity, amount, sum(quantity * amount) AS received "
        "FROM corporate_actions JOIN positions USING (symbol) JOIN portfolios USING (portfolio_id) "
        "WHERE name = 'Long-short' AND kind = 'dividend' AND entry_date < ex_date "
        "AND coalesce(exit_date >= ex_date, true) GROUP BY ex_date, symbol, amount ORDER BY ex_date, symbol",
    )
    received = {"ex_date": "ex-date", "symbol": "symbol", "quantity": "shares", "amount": "a share"}
    received["received"] = "received"
    return [
        table(columns, traded, places=places),
        table(received, paid, places={"quantity": 0, "amount": 6}),
    ]


def options_tables(database: Database) -> list[Table]:
    columns = {"symbol": "symbol", "quantity": "held", "session": "session", "price_used": "price"}
    columns |= {"market_value": "value", "daily_pnl": "P&L", "status": "status"}
    places = {"quantity": 0, "price_used": 4}
    ends = lots(database, "Options", days=("04-06", "06-30"))
    quiet = lots(database, "Options", "SEKU260515P00056000", days=("05-04", "05-05", "05-11", "05-12", "05-13"))
    settled = rows_of(
        database,
        "SELECT symbol, session, underlying_price, settlement_price, quantity, entry_price, "
        "quantity * 100 * settlement_price AS received, "
        "quantity * 100 * (settlement_price - entry_price) AS realized "
        "FROM option_expiries JOIN positions USING (portfolio_id, position_id, symbol) ORDER BY position_id",
    )
    ending = {"symbol": "contract", "session": "settled", "underlying_price": "share", "settlement_price": "worth"}
    ending |= {"quantity": "held", "entry_price": "entry", "received": "received", "realized": "realised"}
    prices = {"quantity": 0, "underlying_price": 4, "settlement_price": 4, "entry_price": 4}
    return [
        table(columns, ends, places=places),
        table(ending, settled, places=prices),
        table(columns, quiet, places=places),
    ]


def private_tables(database: Database) -> list[Table]:
    days = ("04-06", "05-01", "05-04", "06-01", "06-02", "06-08", "06-09")
    values = lots(database, "Private", "Harbour Street 12", "Alder Ventures II", days=days)
    by_session = {(row["symbol"], row["session"]): row["market_value"] for row in values}
    rows = [row for row in snapshots(database)["Private"] if f"{row['session']:%m-%d}" in days]
    for row in rows:
        row["house"] = by_session.get(("Harbour Street 12", row["session"]))
        row["stake"] = by_session.get(("Alder Ventures II", row["session"]))
    columns = {"session": "session", "house": "Harbour Street 12", "stake": "Alder Ventures II"}
    columns |= {"realized_pnl": "realised", "daily_pnl": "P&L of all", "cash": "cash", "equity": "equity"}
    return [table(columns, rows)]


def margin_tables(database: Database) -> list[Table]:
    days = ("04-06", "04-13", "04-14", "04-16", "05-15", "05-18", "05-22", "05-26", "06-01", "06-02", "06-30")
    rows = [row for row in snapshots(database)["Margin"] if f"{row['session']:%m-%d}" in days]
    columns = {"session": "session", "equity": "equity", "cash": "cash", "long_value": "long"}
    columns |= {"unpriced_value": "unpriced", "capital_flow": "paid in", "daily_pnl": "P&L", "daily_return": "return"}
    columns |= {"market_beta": "Market Beta", "missing_symbols": "missing"}
    return [table(columns, rows, places={"daily_return": 4, "market_beta": 4})]


TABLES: dict[str, Callable[[Database], list[Table]]] = {
    "The newest session": newest_tables,
    "Where the equity comes from": account_tables,
    "Exposures": exposure_tables,
    "Diversified": diversified_tables,
    "Long-short": long_short_tables,
    "Options": options_tables,
    "Private": private_tables,
    "Margin": margin_tables,
}


def as_markdown(tables: Sequence[Table]) -> str:
    """The rows as they are to be put into the document; header lines there keep their alignment."""
    return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in rows) for rows in tables)


@pytest.mark.parametrize("heading", TABLES)
def test_every_number_of_the_tables_is_what_the_demo_has(database: Database, heading: str) -> None:
    tables = TABLES[heading](database)
    assert documented(heading) == tables, f"the document has to have:\n{as_markdown(tables)}"


def test_every_table_of_a_section_is_compared() -> None:
    headings = re.findall(r"^## (.*)$", DOCUMENT, flags=re.MULTILINE)
    assert [heading for heading in headings if documented(heading)] == list(TABLES)


def test_the_accounts_add_up_exactly(database: Database) -> None:
    for first, *later in snapshots(database).values():
        gains = sum(row["capital_flow"] + row["realized_pnl"] + row["dividends"] for row in later)
        last = later[-1] if later else first
        assert last["equity"] == first["equity"] + gains + last["unrealized_pnl"] - first["unrealized_pnl"]


def test_dividends_are_those_of_the_shares_held(database: Database) -> None:
    _, paid = long_short_tables(database)
    received = sum(Decimal(row[-1].replace(",", "")) for row in paid[1:])
    assert received == round(sum(row["dividends"] for row in snapshots(database)["Long-short"]), 2)
