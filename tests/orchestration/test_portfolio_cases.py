"""Single cases of the portfolio layer with numbers worked out by hand, from published closes to stored rows."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_valuation, close_lot, delete_lot
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, mark_edited
from tests.orchestration.contents import PORTFOLIO_TABLES, contents, execute, rows_of
from tests.orchestration.portfolio_runs import content, next_range, run
from tests.orchestration.published_market import BOUGHT, DAYS, lot, own, publish, publish_action, snapshots

# A Friday, and the session before it.
EXPIRY = date(2025, 5, 23)
CALL, PUT = "UND250523C00100000", "UND250523P00100000"
MONDAY, FRIDAY = DAYS[0], DAYS[4]
UND = dict(zip(DAYS, ("95", "101", "99", "98", "112.5", *["120"] * 7), strict=True))


def column(found: dict[date, dict[str, Any]], name: str, days: int = 6) -> list[Any]:
    return [found[day][name] for day in DAYS[:days] if day in found]


def option(symbol: str, quantity: str, price: str, entry_date: date = BOUGHT, **columns: Any) -> NewLot:
    return lot(symbol, quantity, price, entry_date, investment_class="OPTIONS", **columns)


def statuses(database: Database, symbol: str) -> list[str]:
    sql = (
        "SELECT status FROM position_values JOIN positions USING (portfolio_id, position_id) "
        "WHERE symbol = :symbol ORDER BY session"
    )
    return [row["status"] for row in rows_of(database, sql, symbol=symbol)]


class TestAccounts:
    def test_a_new_portfolio_begins_with_what_its_owner_stated(self, database: Database) -> None:
        publish(database, {"AAA": dict.fromkeys(DAYS, "50")})
        own(database, "old")
        snapshots(database)
        own(database, "new", lot("AAA", "10", "40"), as_of=DAYS[-1], equity="777.5")
        found = snapshots(database)["new"]
        assert list(found) == [DAYS[-1]]
        first = found[DAYS[-1]]
        assert (first["equity"], first["cash"], first["daily_pnl"]) == (Decimal("777.5"), Decimal("277.5"), 0)
        assert (first["daily_return"], first["unrealized_pnl"]) == (None, 100)
        assert next_range(database) is None

    def test_an_empty_portfolio_has_its_cash_and_its_flows(self, database: Database) -> None:
        publish(database, {"AAA": dict.fromkeys(DAYS, "50")})
        number = own(database, "empty", equity="100")
        with database.begin() as connection:
            add_capital_flow(connection, number, flow_date=DAYS[2], amount=Decimal("-150.25"))
        found = snapshots(database)["empty"]
        assert column(found, "equity", 4) == [100, 100, Decimal("-50.25"), Decimal("-50.25")]
        assert column(found, "capital_flow", 4) == [0, 0, Decimal("-150.25"), 0]
        assert column(found, "daily_return", 4) == [None, 0.0, None, None]
        for name in ("daily_pnl", "gross", "positions_count"):
            assert set(column(found, name)) == {0}
        assert set(column(found, "priced_share")) == {None}
        assert column(found, "provider_beta", 4) == [0.0, 0.0, None, None]

    def test_debts_leave_no_ratios_and_all_dollars(self, database: Database) -> None:
        """Short 10 that double: the equity goes from 400 to -600."""
        publish(database, {"AAA": {DAYS[0]: "100", DAYS[1]: "200", DAYS[2]: "150"}}, market_beta=1.5, provider_beta=2)
        own(database, "broke", lot("AAA", "-10", "100"), equity="400")
        found = snapshots(database, until=DAYS[2])["broke"]
        assert column(found, "equity", 3) == [400, -600, -100]
        assert column(found, "cash", 3) == [1400, 1400, 1400]
        assert column(found, "daily_return", 3) == [None, -2.5, None]
        assert column(found, "provider_beta", 3) == [-5.0, None, None]
        assert column(found, "provider_beta_coverage", 3) == [1.0, 1.0, 1.0]
        rows = rows_of(
            database, "SELECT exposure, dollars, per_invested FROM portfolio_factor_exposures ORDER BY session"
        )
        assert [(row["exposure"], row["dollars"]) for row in rows] == [(-3.75, -1500), (None, -3000), (None, -2250)]
        assert {row["per_invested"] for row in rows} == {-1.5}

    @pytest.mark.parametrize("ratio", [None, (4, 1)], ids=["without a split", "after a split"])
    def test_a_partial_close_changes_nothing_but_what_is_held(
        self, database: Database, ratio: tuple[int, int] | None
    ) -> None:
        """Ten shares, of which four of the time before the split are sold at 121 of that time."""
        factor = 1 if ratio is None else 4
        closes = {day: Decimal(price) / factor for day, price in UND.items()}
        publish(database, {"UND": closes})
        if ratio:
            publish_action(database, "UND", DAYS[3], ratio=ratio)
        own(
            database,
            "two lots",
            lot("UND", "4", "90", sold=(str(Decimal(121) / factor), DAYS[5])),
            lot("UND", "6", "90"),
        )
        number = own(database, "one lot", lot("UND", "10", "90"))
        snapshots(database)
        (held,) = rows_of(database, "SELECT position_id FROM positions WHERE portfolio_id = :number", number=number)
        with database.begin() as connection:
            price, part = Decimal(121) / factor, Decimal(4 * factor)
            close_lot(connection, held["position_id"], exit_date=DAYS[5], exit_price=price, quantity=part)
        found = snapshots(database)
        names = ("equity", "cash", "gross", "daily_pnl", "realized_pnl", "unrealized_pnl", "positions_count")
        for name in names:
            assert column(found["one lot"], name, 12) == column(found["two lots"], name, 12)
        assert found["one lot"][DAYS[5]]["realized_pnl"] == 4 * (121 - 90)


class TestOptions:
    @pytest.mark.fault(31)
    def test_held_to_the_end_in_the_money_and_out_of_it(self, database: Database) -> None:
        """Two calls long and one short at a strike of 100, and a put; the share closes at 112.50."""
        closes = {CALL: dict(zip(DAYS, ("3", "4", "3.5", "3", "12"), strict=False)), PUT: {DAYS[0]: "6", DAYS[3]: "2"}}
        publish(database, {"UND": UND, **closes})
        number = own(
            database, "options", option(CALL, "2", "2.5"), option(CALL, "-1", "4", DAYS[1]), option(PUT, "1", "5")
        )
        found = snapshots(database)["options"]
        # Calls 200 x change less 100 x change from their own entry on, puts at carried prices, then the settlement.
        assert column(found, "daily_pnl") == [0, 200, -50, -50 - 400, 950 - 200, 0]
        assert column(found, "realized_pnl") == [0, 0, 0, 0, 2 * 1000 - 850 - 500, 0]
        assert column(found, "gross") == [1200, 1800, 1650, 1100, 0, 0]
        assert column(found, "positions_count") == [2, 3, 3, 3, 0, 0]
        assert column(found, "missing_symbols") == [[], [PUT], [PUT], [], [], []]
        assert column(found, "equity")[-1] == 10_000 + 200 - 50 - 450 + 750
        expiries = rows_of(database, "SELECT * FROM option_expiries ORDER BY position_id")
        assert [row["settlement_price"] for row in expiries] == [Decimal("12.5"), Decimal("12.5"), 0]
        for row in expiries:
            assert (row["portfolio_id"], row["session"], row["underlying"]) == (number, EXPIRY, "UND")
            assert (row["underlying_price"], row["generation"]) == (Decimal("112.5"), 2)
        # Nobody holds the share itself, and it has no exposure either.
        assert rows_of(database, "SELECT * FROM portfolio_factor_exposures WHERE dollars <> 0") == []

    @pytest.mark.fault(31)
    def test_an_option_without_a_trade_is_carried_and_then_settled(self, database: Database) -> None:
        """No close for six sessions: stale, then unpriced at its last value, and the last day makes up for it."""
        contract = "UND250529P00130000"
        publish(database, {"UND": UND, contract: {DAYS[0]: "20"}})
        own(database, "options", option(contract, "1", "18"))
        found = snapshots(database)["options"]
        assert statuses(database, contract) == ["priced", *["stale"] * 5, "unpriced"]
        assert column(found, "unpriced_value", 8) == [0, 0, 0, 0, 0, 0, 2000, 0]
        assert column(found, "daily_pnl", 8) == [0, 0, 0, 0, 0, 0, 0, -1000]

    @pytest.mark.fault(31)
    def test_a_weekly_on_an_index_that_nobody_prices_is_carried_and_never_guessed(self, database: Database) -> None:
        """Its underlying is no share: no trade for ten sessions, and no close to be settled by when it expires."""
        contract = f"SPXW{FRIDAY:%y%m%d}C05000000"
        publish(database, {"UND": UND, contract: dict.fromkeys(DAYS[:2], "20")})
        own(database, "options", option(contract, "1", "18"))
        found = snapshots(database)["options"]
        assert statuses(database, contract) == [*["priced"] * 2, *["stale"] * 5, *["unpriced"] * 5]
        assert column(found, "missing_symbols", 12) == [*[[]] * 2, *[[contract]] * 10]
        assert column(found, "daily_pnl", 12) == [0] * 12
        assert rows_of(database, "SELECT * FROM option_expiries") == []

    def test_one_closed_by_its_owner_is_not_settled(self, database: Database) -> None:
        publish(database, {"UND": UND, CALL: dict.fromkeys(DAYS[:4], "3")})
        own(
            database,
            "options",
            option(CALL, "1", "2.5", sold=("11", FRIDAY)),
            option(CALL, "1", "2.5", sold=("4", DAYS[3])),
        )
        found = snapshots(database)["options"]
        assert column(found, "daily_pnl") == [0, 0, 0, 100, 800, 0]
        assert rows_of(database, "SELECT * FROM option_expiries") == []

    def test_it_waits_for_the_close_of_its_underlying(self, database: Database) -> None:
        known = {day: price for day, price in UND.items() if day != FRIDAY}
        publish(database, {"UND": known, CALL: {FRIDAY: "12"}})
        own(database, "options", option(CALL, "1", "2.5"))
        assert column(snapshots(database)["options"], "positions_count", 12) == [1] * 12
        before = contents(database, PORTFOLIO_TABLES)
        publish(database, {"UND": {FRIDAY: "103.0001"}})
        found = snapshots(database)["options"]
        assert column(found, "positions_count", 12) == [1] * 4 + [0] * 8
        assert found[FRIDAY]["daily_pnl"] == Decimal("50.01")
        after = contents(database, PORTFOLIO_TABLES)
        assert set(before["portfolio_snapshots"]) == set(after["portfolio_snapshots"])
        assert run(database, DAYS).generation is None

    def test_a_corrected_close_settles_it_anew(self, database: Database) -> None:
        publish(database, {"UND": UND})
        own(database, "worthless", option(PUT, "1", "2.5"))
        snapshots(database)
        for close, worth in (("105", 0), ("90", 10)):
            publish(database, {"UND": {FRIDAY: close}})
            found = snapshots(database)["worthless"]
            (row,) = rows_of(database, "SELECT * FROM option_expiries")
            # Also where the option is worth as little as before.
            assert (row["underlying_price"], row["settlement_price"]) == (Decimal(close), worth)
            assert row["generation"] == found[FRIDAY]["generation"]
            assert found[FRIDAY]["daily_pnl"] == 100 * worth - 250

    def test_the_settlement_of_a_lot_that_is_gone_goes_with_it(self, database: Database) -> None:
        publish(database, {"UND": UND})
        number = own(database, "options", option(CALL, "1", "2.5"), option(CALL, "2", "2.5"))
        snapshots(database)
        first, second = rows_of(database, "SELECT position_id FROM option_expiries ORDER BY position_id")
        with database.begin() as connection:
            delete_lot(connection, first["position_id"])
        snapshots(database)
        assert rows_of(database, "SELECT position_id FROM option_expiries") == [second]
        execute(database, "UPDATE positions SET exit_date = :day, exit_price = 7", day=DAYS[2])
        with database.begin() as connection:
            mark_edited(connection, number, edited_from=DAYS[2])
        found = snapshots(database)["options"]
        assert rows_of(database, "SELECT * FROM option_expiries") == []
        assert column(found, "daily_pnl") == [0, 0, 900, 0, 0, 0]

    def test_its_settlement_is_stated_in_the_units_of_the_entry(self, database: Database) -> None:
        """The share splits 4:1 before the expiry: at 28 after it the call of strike 100 is worth 12."""
        after = {day: Decimal(price) / 4 for day, price in UND.items()}
        publish(database, {"UND": {**after, FRIDAY: "28"}})
        publish_action(database, "UND", DAYS[2], ratio=(4, 1))
        own(database, "options", option(CALL, "1", "2.5"), option(CALL, "1", "2.5", DAYS[3]))
        snapshots(database)
        rows = rows_of(database, "SELECT underlying_price, settlement_price FROM option_expiries ORDER BY position_id")
        assert [tuple(row.values()) for row in rows] == [(112, 12), (28, 0)]

    def test_sessions_before_the_expiry_do_not_know_of_it(self, database: Database) -> None:
        publish(database, {"UND": UND, CALL: dict.fromkeys(DAYS[:4], "3")})
        own(database, "options", option(CALL, "1", "2.5"))
        snapshots(database, until=DAYS[3])
        assert rows_of(database, "SELECT * FROM option_expiries") == []
        before = content(database)
        snapshots(database)
        # Nor does running them again take back what came later.
        assert run(database, DAYS[:2]).generation is None
        assert len(rows_of(database, "SELECT * FROM option_expiries")) == 1
        early = {key for key in content(database)["portfolio_snapshots"] if key[1] <= DAYS[3]}
        assert early == set(before["portfolio_snapshots"])


class TestPrivateLots:
    def private(self, quantity: str = "2", price: str | None = None, **columns: Any) -> NewLot:
        entry_price = None if price is None else Decimal(price)
        return NewLot("Vineyard", Decimal(quantity), entry_price, BOUGHT, investment_class="PRIVATE", **columns)

    def value(self, database: Database, day: date, value: str) -> None:
        (row,) = rows_of(database, "SELECT position_id FROM positions WHERE symbol = 'Vineyard'")
        with database.begin() as connection:
            add_valuation(connection, row["position_id"], valued_on=day, market_value=Decimal(value))

    def test_it_changes_when_its_owner_says_so(self, database: Database) -> None:
        publish(database, {"AAA": dict.fromkeys(DAYS, "50")}, market_beta=1.0, provider_beta=1.0)
        own(database, "private", self.private(market_value=Decimal(900), valued_on=BOUGHT), lot("AAA", "2", "50"))
        # On a Saturday, which the next session counts.
        self.value(database, date(2025, 5, 24), "1000.00000001")
        self.value(database, DAYS[2], "800")
        found = snapshots(database)["private"]
        pnl = [0, 0, -100, 0, 0, Decimal("200.00000001")]
        assert column(found, "daily_pnl") == pnl
        assert column(found, "gross")[-1] == Decimal("1100.00000001")
        assert column(found, "unrealized_pnl")[-1] == Decimal("100.00000001")
        assert set(column(found, "is_partial")) == {False}
        assert set(column(found, "priced_share")) == {1.0}
        # Of public value all has a beta, and the vineyard adds nothing to the exposure of 100 dollars.
        assert set(column(found, "provider_beta_coverage")) == {1.0}
        rows = rows_of(database, "SELECT DISTINCT dollars, coverage FROM portfolio_factor_exposures WHERE dollars > 0")
        assert rows == [{"dollars": 100.0, "coverage": 1.0}]

    def test_before_its_first_valuation_it_is_held_at_its_cost(self, database: Database) -> None:
        publish(database, {"AAA": dict.fromkeys(DAYS, "50")})
        own(database, "private", self.private("2", "400"))
        self.value(database, DAYS[3], "900")
        found = snapshots(database)["private"]
        assert column(found, "unpriced_value") == [800, 800, 800, 0, 0, 0]
        assert column(found, "daily_pnl") == [0, 0, 0, 100, 0, 0]
        assert column(found, "missing_symbols")[2:4] == [["Vineyard"], []]
        assert statuses(database, "Vineyard")[2:4] == ["unpriced", "priced"]

    def test_sold_it_brings_its_price(self, database: Database) -> None:
        publish(database, {"AAA": dict.fromkeys(DAYS, "50")})
        own(database, "private", self.private(market_value=Decimal(900), valued_on=BOUGHT))
        (row,) = rows_of(database, "SELECT position_id FROM positions")
        with database.begin() as connection:
            close_lot(connection, row["position_id"], exit_date=DAYS[3], exit_price=Decimal("475.5"))
        found = snapshots(database)["private"]
        assert column(found, "daily_pnl") == [0, 0, 0, 51, 0, 0]
        assert column(found, "realized_pnl")[3] == 51
        assert column(found, "gross") == [900, 900, 900, 0, 0, 0]

    def test_a_late_valuation_changes_the_sessions_from_its_date_on(self, database: Database) -> None:
        publish(database, {"AAA": dict.fromkeys(DAYS, "50")})
        own(database, "private", self.private(market_value=Decimal(900), valued_on=BOUGHT))
        before = snapshots(database)["private"]
        self.value(database, DAYS[5], "950")
        chosen = next_range(database)
        assert chosen is not None
        assert (chosen.first, chosen.last) == (DAYS[5], DAYS[-1])
        found = snapshots(database)["private"]
        assert [found[day]["daily_pnl"] for day in DAYS[4:7]] == [0, 50, 0]
        kept = ("equity", "fingerprint", "generation")
        assert all(found[day][name] == before[day][name] for day in DAYS[:5] for name in kept)
        assert run(database, DAYS).generation is None
