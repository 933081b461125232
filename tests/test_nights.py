"""However the nights of a market go, in the end the tables are those of one backfill; and no night shows a mix.

The nights are in ``nights``, their owners in ``night_books``, the comparison in ``night_contents``. What may differ in
the end is the record of how the tables came about, the last digits of floats, and with them fingerprints. A night sees
a symbol only from the evening on that it is tracked, so a backfill over a new listing would hold more exclusions and
profiles; here everything is listed from the first evening on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from sigmasight_assets.market_data.protocol import DIVIDEND, BarRequest, FetchResult
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from tests.conftest import NewDatabase, opened
from tests.night_books import CONTRACTS, DELAYED, DELISTED, HALTED, SPLITTING, TROUBLED, WHOLE, WRONG
from tests.night_contents import copy_books, differences, everything, find_mixes, results
from tests.nights import DAYS, SEED, STOCKS, Evening, live_through, run_portfolio_layer, run_symbol_layer
from tests.orchestration.contents import Contents, rows_of

# On the first a late bar arrives, on the next two it is late and arrives, on the next a stock splits, and on the last
# a wrong bar is corrected and a stock trades for the last time.
MISSED = [DAYS[place] for place in (5, 11, 12, 17, 24)]
# After one of the missed nights, twice in a row, and when a stock has been delisted.
WITHOUT_PORTFOLIOS = [DAYS[place] for place in (8, 18, 19, 27)]


@dataclass(frozen=True)
class Nights:
    """A database after all the nights, and what each of them came to."""

    database: Database
    evenings: list[Evening]
    results: Contents


@pytest.fixture(scope="module")
def every_night(new_database: NewDatabase, schema_template: str) -> Iterator[Nights]:
    """Each night in turn."""
    with opened(new_database, schema_template) as database:
        evenings = live_through(database)
        yield Nights(database, evenings, results(database))


def test_nights_are_eventful(every_night: Nights) -> None:
    """What the other tests stand on: nearly all that a market can do happens to what is held."""
    database = every_night.database
    marked = {evening.day: evening.symbols.prices.marked for evening in every_night.evenings if evening.symbols}
    # Late bars, the correction of a wrong one, and splits.
    assert (marked[DAYS[5]], marked[DAYS[12]], marked[DAYS[24]]) == ({DELAYED}, {TROUBLED}, {WRONG, "SIBA"})
    assert (marked[DAYS[1]], marked[DAYS[17]]) == ({TROUBLED}, {SPLITTING})
    restated = rows_of(database, "SELECT symbol, price_date FROM restatements WHERE old_close_price <> new_close_price")
    assert {"symbol": WRONG, "price_date": DAYS[22]} in restated
    statuses = rows_of(
        database,
        "SELECT DISTINCT symbol, session, status FROM position_values JOIN positions USING (position_id) "
        "WHERE investment_class = 'PUBLIC' AND status <> 'priced'",
    )
    found = {(row["symbol"], row["session"]): row["status"] for row in statuses}
    assert {day for symbol, day in found if symbol == HALTED} == {DAYS[place] for place in (5, 6, 26, 27)}
    assert [found.get((TROUBLED, DAYS[place])) for place in (21, 22, 26, 27)] == [None, "stale", "stale", None]
    assert [found.get((DELISTED, DAYS[place])) for place in (24, 25, 29, 30)] == [None, "stale", "stale", "unpriced"]
    paid = rows_of(
        database,
        "SELECT DISTINCT sign(quantity) AS side FROM corporate_actions JOIN positions USING (symbol) "
        "WHERE kind = 'dividend' AND ex_date > entry_date AND ex_date BETWEEN :first AND :last",
        first=DAYS[0],
        last=DAYS[-1],
    )
    assert {row["side"] for row in paid} == {-1, 1}
    captured = [evening.symbols.profiles.captured for evening in every_night.evenings if evening.symbols]
    assert sum(count > 0 for count in captured) == 7


def test_options_are_settled_when_the_close_of_their_share_has_come(every_night: Nights) -> None:
    """One is late, one never comes, and one share has split since the contract was bought."""
    settled = rows_of(
        every_night.database,
        "SELECT symbol, session, underlying_price FROM option_expiries JOIN portfolios USING (portfolio_id) "
        "WHERE name = :name",
        name=CONTRACTS,
    )
    by_share = {row["symbol"][:4]: row for row in settled}
    assert {row["session"] for row in settled} == {DAYS[11], DAYS[16], DAYS[21]}
    assert by_share[TROUBLED]["session"] == DAYS[11]
    assert HALTED not in by_share
    (close,) = rows_of(
        every_night.database,
        "SELECT close_price FROM symbol_daily_metrics WHERE symbol = :symbol AND metrics_date = :day",
        symbol=TROUBLED,
        day=DAYS[11],
    )
    assert by_share[TROUBLED]["underlying_price"] == 2 * close["close_price"]


def test_no_night_shows_a_mix(every_night: Nights) -> None:
    assert {evening.day: evening.mixes for evening in every_night.evenings if evening.mixes} == {}


@pytest.mark.fault(35)
def test_a_backfill_comes_to_the_same(every_night: Nights, new_database: NewDatabase, schema_template: str) -> None:
    with opened(new_database, schema_template) as database:
        copy_books(every_night.database, database)
        run_symbol_layer(database, DAYS)
        (run,) = run_portfolio_layer(database, DAYS[-1])
        assert (run.first, run.last) == (DAYS[0], DAYS[-1])
        assert find_mixes(database, DAYS, with_books=True) == []
        assert differences(results(database), every_night.results) == []


@pytest.mark.fault(17)
@pytest.mark.campaign
def test_missed_nights_are_caught_up_with(every_night: Nights, new_database: NewDatabase, schema_template: str) -> None:
    """Some nights nothing runs, on others only the symbol layer does."""
    with opened(new_database, schema_template) as database:
        evenings = live_through(database, without_symbols=MISSED, without_portfolios=WITHOUT_PORTFOLIOS)
        assert {evening.day: evening.mixes for evening in evenings if evening.mixes} == {}
        assert sum(evening.symbols is None for evening in evenings) == len(MISSED)
        assert differences(results(database), every_night.results) == []


def test_the_last_night_again_changes_nothing(every_night: Nights) -> None:
    database = every_night.database
    before = everything(database)
    for _ in range(2):
        again = run_symbol_layer(database, DAYS[-1:])
        assert run_portfolio_layer(database, DAYS[-1]) == []
        by_hand = publish_portfolio_products(database, exchange_calendar(), sessions=DAYS[-1:], run_id="by hand")
        assert (again.products.generation, by_hand.generation, by_hand.changed) == (None, None, 0)
        assert (again.prices.inserted, again.prices.restated, again.prices.rescaled) == (0, 0, 0)
        assert (again.profiles.captured, again.products.cells_computed) == (0, 0)
        assert everything(database) == before


def test_equity_is_that_of_shares_that_never_split(every_night: Nights) -> None:
    """By hand from the market that never splits, whose prices are in cents; nothing of the pipeline is in it."""
    (snapshot,) = rows_of(
        every_night.database,
        "SELECT stated_equity, cumulative_pnl, equity FROM portfolio_snapshots JOIN portfolios USING (portfolio_id) "
        "WHERE name = :name AND session = :last",
        name=WHOLE,
        last=DAYS[-1],
    )
    lots = rows_of(
        every_night.database,
        "SELECT symbol, quantity FROM positions JOIN portfolios USING (portfolio_id) WHERE name = :name",
        name=WHOLE,
    )
    splitting = SimulatedMarket(exchange_calendar(), stocks=STOCKS, seed=SEED, as_of=DAYS[-1])
    control = SimulatedMarket(exchange_calendar(), stocks=STOCKS, seed=SEED, as_of=DAYS[-1], with_splits=False)
    answer = control.fetch_bars([BarRequest(lot["symbol"], DAYS[0], DAYS[-1]) for lot in lots])
    gain, tolerance = Fraction(0), Fraction(0)
    for lot in lots:
        symbol, quantity = lot["symbol"], Fraction(lot["quantity"])
        earlier, all_of_them = (shares(splitting, symbol, until) for until in (DAYS[0], DAYS[-1]))
        gain += quantity / earlier * gain_of_a_share(answer, symbol)
        if all_of_them != 1:
            # The vendor rounds what it restates: the price paid, the price at the end and dividends.
            tolerance += abs(quantity) * (1 + all_of_them / earlier) * Fraction("0.000051")
    assert abs(Fraction(snapshot["cumulative_pnl"]) - gain) <= tolerance < 1
    assert snapshot["equity"] == snapshot["stated_equity"] + snapshot["cumulative_pnl"] - Decimal(5_000)


def shares(market: SimulatedMarket, symbol: str, until: date) -> Fraction:
    """Shares of a date for one that never split."""
    factor = Fraction(1)
    for ex_date, new, old in market.splits(symbol):
        factor *= Fraction(new, old) if ex_date <= until else 1
    return factor


def gain_of_a_share(answer: FetchResult, symbol: str) -> Fraction:
    """Change of the price from the first session to the last that has one, and dividends after the first."""
    closes = {
        row["price_date"]: cents(row["close_price"]) for row in answer.bars.to_pylist() if row["symbol"] == symbol
    }
    dividends = [
        cents(row["amount"])
        for row in answer.actions.to_pylist()
        if (row["symbol"], row["kind"]) == (symbol, DIVIDEND) and row["ex_date"] > DAYS[0]
    ]
    return closes[max(closes)] - closes[DAYS[0]] + sum(dividends)


def cents(amount: float) -> Fraction:
    return Fraction(round(100 * amount), 100)
