"""Splits and dividends learnt on their day and late: the history that owners see is that of a market that knew."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot
from sigmasight_assets.storage.universe import import_listings
from tests.orchestration.books import HISTORY_START, publish_symbols
from tests.orchestration.contents import PORTFOLIO_TABLES, contents, execute, rows_of
from tests.orchestration.markets import copied, stock
from tests.orchestration.portfolio_runs import SNAPSHOT_TABLES, content, next_range, run
from tests.orchestration.published_market import (
    DAYS,
    lot,
    own,
    publish,
    publish_action,
    republish,
    snapshots,
    withdraw_actions,
)

EX = DAYS[5]
# Of a share that was never split; the first is stated exactly in any units.
PRICES = ("120", "102.3001", "98.7654", "99.9999", "104.1237", "103.2", "101.0101", "107", "106.54", "99", "101", "103")
CONTROL = {day: Decimal(price) for day, price in zip(DAYS, PRICES, strict=True)}
RATIOS = [(4, 1), (3, 2), (1, 10)]


def restated(ratio: tuple[int, int], *, since: date = DAYS[0]) -> dict[date, Decimal]:
    """The control's closes from ``since`` on in the units after the split, rounded as a vendor does."""
    numerator, denominator = ratio
    return {day: round(price * denominator / numerator, 4) for day, price in CONTROL.items() if day >= since}


def converted(value: str, factor: Fraction) -> str:
    exact = Fraction(value) * factor
    assert (exact * 10_000).denominator == 1
    return str(Decimal(exact.numerator) / exact.denominator)


def own_both(database: Database, ratio: tuple[int, int]) -> Decimal:
    """Portfolios of the same trades in both shares; how many shares, after the split, the one that splits moves."""
    factor = Fraction(*ratio)

    def after(quantity: str, price: str, symbol: str) -> tuple[str, str]:
        """A trade after the split: real shares at a real price, or as many of the control."""
        return (quantity, converted(price, factor)) if symbol == "CTL" else (converted(quantity, factor), price)

    def sold(price: str, day: date, symbol: str) -> dict[str, Any]:
        return {"sold": (converted(price, factor) if symbol == "CTL" else price, day)}

    def lots(symbol: str) -> list[NewLot]:
        partly = converted("60", factor) if symbol == "SPL" else "60"
        return [
            lot(symbol, "20", "98"),
            lot(symbol, "-40", "97.5"),
            lot(symbol, "20", "98", sold=("101", DAYS[2])),
            lot(symbol, "20", "98", **sold("25.8", DAYS[8], symbol)),
            lot(symbol, "20", "98", **sold("25.1", EX, symbol)),
            lot(symbol, *after("40", "25", symbol), DAYS[7]),
            lot(symbol, *after("-20", "26", symbol), EX),
            # A rest whose quantity is stated in the units of the day on which the other part was sold.
            lot(symbol, partly, "98", units_date=DAYS[6]),
        ]

    for name, symbol in (("control", "CTL"), ("split", "SPL")):
        own(database, name, *lots(symbol))
    return 240 * Decimal(factor.numerator) / factor.denominator


def equities(found: dict[str, dict[date, Any]], name: str) -> dict[date, Decimal]:
    return {day: row["equity"] for day, row in found[name].items()}


def assert_equal_to_control(database: Database, shares: Decimal) -> None:
    found = snapshots(database)
    control, split = equities(found, "control"), equities(found, "split")
    assert list(control) == list(split) == DAYS
    worst = max(abs(control[day] - split[day]) for day in DAYS)
    assert worst <= shares * Decimal("0.00005")
    assert next_range(database) is None


def assert_recomputing_changes_nothing(database: Database) -> None:
    before = contents(database, PORTFOLIO_TABLES)
    assert (run(database, DAYS).generation, run(database, DAYS).changed) == (None, 0)
    assert contents(database, PORTFOLIO_TABLES) == before


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
class TestSplits:
    def test_learnt_on_its_day(self, database: Database, ratio: tuple[int, int]) -> None:
        shares = own_both(database, ratio)
        publish(database, {"CTL": CONTROL, "SPL": {day: price for day, price in CONTROL.items() if day < EX}})
        snapshots(database, until=DAYS[4])
        # That evening the source states the whole history in new units.
        publish(database, {"SPL": restated(ratio)})
        publish_action(database, "SPL", EX, ratio=ratio)
        assert_equal_to_control(database, shares)
        assert_recomputing_changes_nothing(database)

    def test_learnt_late(self, database: Database, ratio: tuple[int, int]) -> None:
        shares = own_both(database, ratio)
        old_units = {day: price for day, price in CONTROL.items() if day < EX}
        publish(database, {"CTL": CONTROL, "SPL": {**old_units, **restated(ratio, since=EX)}})
        before = snapshots(database)
        # The price fell, and nobody knew why.
        assert abs(equities(before, "split")[EX] - equities(before, "control")[EX]) > 100
        publish(database, {"SPL": {day: price for day, price in restated(ratio).items() if day < EX}})
        publish_action(database, "SPL", EX, ratio=ratio)
        assert_equal_to_control(database, shares)
        assert_recomputing_changes_nothing(database)
        after = rows_of(database, "SELECT * FROM position_values WHERE session = :day", day=DAYS[0])
        factors = {(row["split_numerator"], row["split_denominator"]) for row in after}
        assert factors == {(1, 1), ratio}

    def test_learnt_after_all_trading_and_withdrawn_again(self, database: Database, ratio: tuple[int, int]) -> None:
        """What was published with the split, and before it, does not depend on what was published in between."""
        own_both(database, ratio)
        publish(database, {"CTL": CONTROL, "SPL": {**CONTROL, **restated(ratio, since=EX)}})
        snapshots(database)
        unaware = content(database)
        publish(database, {"SPL": {day: price for day, price in restated(ratio).items() if day < EX}})
        publish_action(database, "SPL", EX, ratio=ratio)
        snapshots(database)
        aware = content(database)
        assert aware != unaware
        publish(database, {"SPL": {day: price for day, price in CONTROL.items() if day < EX}})
        withdraw_actions(database, "SPL")
        snapshots(database)
        assert content(database) == unaware

    def test_any_intermediate_session_is_computed_again_from_its_neighbours(
        self, database: Database, ratio: tuple[int, int]
    ) -> None:
        own_both(database, ratio)
        publish(database, {"CTL": CONTROL, "SPL": restated(ratio)})
        publish_action(database, "SPL", EX, ratio=ratio)
        snapshots(database)
        before = content(database)
        for day in (DAYS[4], EX, DAYS[8]):
            for table in (*SNAPSHOT_TABLES, "snapshot_inputs"):
                execute(database, f"DELETE FROM {table} WHERE session = :day", day=day)
            snapshots(database)
            assert content(database) == before


def test_a_session_computed_from_snapshots_in_old_units(database: Database) -> None:
    """The stored value counts, and the price beside it is only shown: here it is carried over the split."""
    publish(database, {"SPL": {DAYS[0]: "120.0003"}, "CTL": CONTROL})
    own(database, "split", lot("SPL", "10", "98"))
    snapshots(database, until=DAYS[6])
    value = rows_of(database, "SELECT * FROM position_values WHERE session = :day", day=DAYS[6])[0]
    assert (value["status"], value["price_used"]) == ("unpriced", Decimal("120.0003"))
    # Only the sessions to come are published with the split, as if the old ones could not be.
    publish_action(database, "SPL", EX, ratio=(4, 1))
    publish(database, {"SPL": {DAYS[8]: "31"}})
    found = snapshots(database, until=DAYS[8])
    values = rows_of(database, "SELECT * FROM position_values WHERE session >= :day ORDER BY session", day=DAYS[7])
    assert [(row["status"], row["price_used"]) for row in values] == [
        ("unpriced", Decimal("30.0001")),
        ("priced", Decimal(31)),
    ]
    assert found["split"][DAYS[8]]["daily_pnl"] == 40 * Decimal(31) - 10 * Decimal("120.0003")


class TestDividends:
    AMOUNT = Decimal("0.123457")

    def own(self, database: Database) -> None:
        """Of the paying portfolio 10 - 4 + 5 shares are entitled; its control holds the same of another symbol."""
        for name, symbol in (("paid", "PAY"), ("control", "CTL")):
            own(
                database,
                name,
                lot(symbol, "10", "98"),
                lot(symbol, "-4", "98"),
                lot(symbol, "5", "98", sold=("99", EX)),
                # Sold the day before, and bought on the day: without the right.
                lot(symbol, "7", "98", sold=("99", DAYS[4])),
                lot(symbol, "3", "98", EX),
            )

    def assert_paid_once(self, database: Database, total: Decimal, *, on: date = EX) -> None:
        found = snapshots(database)
        for day in found["paid"]:
            paid, control = found["paid"][day], found["control"][day]
            assert paid["equity"] - control["equity"] == (total if day >= on else 0)
            assert paid["dividends"] == paid["daily_pnl"] - control["daily_pnl"] == (total if day == on else 0)
        assert_recomputing_changes_nothing(database)

    @pytest.mark.parametrize("late", [False, True], ids=["on its day", "late"])
    def test_credited_once_on_the_ex_date(self, database: Database, late: bool) -> None:
        self.own(database)
        publish(database, {"CTL": CONTROL, "PAY": {day: price for day, price in CONTROL.items() if late or day < EX}})
        snapshots(database, until=DAYS[-1] if late else DAYS[4])
        publish_action(database, "PAY", EX, amount=self.AMOUNT)
        if late:
            republish(database, EX)
        else:
            publish(database, {"PAY": {day: price for day, price in CONTROL.items() if day >= EX}})
        self.assert_paid_once(database, 11 * self.AMOUNT)

    @pytest.mark.parametrize("amount", ["0.246914", None], ids=["corrected", "withdrawn"])
    def test_corrected_later(self, database: Database, amount: str | None) -> None:
        self.own(database)
        publish(database, {"CTL": CONTROL, "PAY": CONTROL})
        publish_action(database, "PAY", EX, amount=self.AMOUNT)
        snapshots(database)
        withdraw_actions(database, "PAY")
        if amount:
            publish_action(database, "PAY", EX, amount=amount)
        republish(database, EX)
        self.assert_paid_once(database, 11 * Decimal(amount or 0))

    def test_the_same_money_after_a_later_split_is_learnt(self, database: Database) -> None:
        """0.5 a share before a split of 4:1 is 0.125 in the units after it."""
        self.own(database)
        publish(database, {"CTL": CONTROL, "PAY": CONTROL})
        publish_action(database, "PAY", EX, amount="0.5")
        snapshots(database)
        withdraw_actions(database, "PAY")
        publish_action(database, "PAY", EX, amount="0.125")
        publish_action(database, "PAY", date(2025, 6, 5), ratio=(4, 1))
        control = {day: round(price / 4, 4) * 4 for day, price in CONTROL.items()}
        publish(database, {"PAY": {day: price / 4 for day, price in control.items()}, "CTL": control})
        self.assert_paid_once(database, Decimal("5.5"))

    @pytest.mark.parametrize("ex_date", [DAYS[0], date(2025, 5, 1)], ids=["on the first session", "before"])
    def test_what_was_paid_by_the_first_snapshot_is_part_of_the_stated_equity(
        self, database: Database, ex_date: date
    ) -> None:
        self.own(database)
        publish(database, {"CTL": CONTROL, "PAY": CONTROL})
        publish_action(database, "PAY", ex_date, amount=self.AMOUNT)
        self.assert_paid_once(database, Decimal(0))

    def test_a_session_that_was_left_out_is_spanned(self, database: Database) -> None:
        self.own(database)
        publish(database, {"CTL": CONTROL, "PAY": CONTROL})
        publish_action(database, "PAY", EX, amount=self.AMOUNT)
        execute(database, "DELETE FROM publications WHERE session = :day", day=EX)
        run(database, DAYS[:5])
        run(database, DAYS[6:])
        rows = rows_of(database, "SELECT session, dividends FROM portfolio_snapshots WHERE dividends <> 0")
        assert rows == [{"session": DAYS[6], "dividends": 11 * self.AMOUNT}]


@pytest.mark.parametrize("learn", ["at once", "one by one"])
def test_an_account_and_its_mirror_cancel(database: Database, learn: str) -> None:
    """Long and short of the same trades, through splits, dividends and an expiry: the P&L is zero to the last unit."""
    call = "SPL250530C00060000"
    trades: list[Callable[[int], NewLot]] = [
        lambda sign: lot("SPL", str(sign * Decimal("10.0001")), "98.7654"),
        lambda sign: lot("SPL", str(sign * 7), "33.3333", DAYS[7]),
        lambda sign: lot("SPL", str(sign * 3), "98", sold=("33.1234", DAYS[8])),
        lambda sign: lot(call, str(sign * Decimal("1.5")), "2.5", investment_class="OPTIONS"),
    ]
    for name, sign in (("long", 1), ("short", -1)):
        own(database, name, *(trade(sign) for trade in trades))
    options = dict.fromkeys(DAYS[:8], "2.2")
    publish(database, {"SPL": {**CONTROL, **restated((3, 2), since=EX)}, call: options})
    steps: list[Callable[[], None]] = [
        lambda: publish(database, {"SPL": {day: price for day, price in restated((3, 2)).items() if day < EX}}),
        lambda: publish_action(database, "SPL", EX, ratio=(3, 2)),
        lambda: publish_action(database, "SPL", DAYS[6], amount="0.777777"),
        lambda: republish(database, DAYS[6]),
    ]
    for step in steps:
        step()
        if learn == "one by one":
            snapshots(database)
    found = snapshots(database)
    assert any(row["daily_pnl"] for row in found["long"].values())
    for day in DAYS:
        long, short = found["long"][day], found["short"][day]
        for name in ("daily_pnl", "net", "dividends", "realized_pnl", "unrealized_pnl", "unpriced_value"):
            assert long[name] + short[name] == 0, (day, name)


@pytest.mark.fault(13)
def test_through_the_whole_chain(database: Database, calendar: SessionCalendar) -> None:
    """Prices, symbol products and snapshots, evening by evening: a split on its day, then a dividend learnt late."""
    market = copied(SimulatedMarket(calendar, stocks=4), first=HISTORY_START, last=DAYS[-1])
    market.supplies_corporate_actions = True
    model = market.descriptions[-1].symbol
    market.descriptions += [stock("CTL"), stock("SPL")]
    for day in calendar.between(HISTORY_START, DAYS[-1]):
        market.bars["CTL", day] = market.bars["SPL", day] = market.bars[model, day]
        if day >= EX:
            market.restate("SPL", day, 0.25)
    with database.begin() as connection:
        import_listings(connection, market.listings())
    own(database, "control", lot("CTL", "20", "100"), lot("CTL", "-8", "100"))
    own(database, "split", lot("SPL", "20", "100"), lot("SPL", "-32", "25", EX), lot("SPL", "-8", "100"))
    own(database, "control of the short", lot("CTL", "-8", "100", EX))

    def evening(day: date) -> dict[str, dict[date, Any]]:
        asked = [each for each in DAYS if each <= day]
        update_prices(database, market, calendar, sessions=asked, history_start=HISTORY_START, run_id="prices")
        publish_symbols(database, asked)
        return snapshots(database, until=day)

    def assert_equal(found: dict[str, dict[date, Any]], *, days: int) -> None:
        assert list(found["split"]) == DAYS[:days]
        for day in DAYS[:days]:
            expected = found["control"][day]["cumulative_pnl"] + found["control of the short"][day]["cumulative_pnl"]
            # 80 + 2 x 32 shares, of which each price is rounded twice.
            assert abs(found["split"][day]["cumulative_pnl"] - expected) <= 2 * 144 * Decimal("0.00005"), day
            assert found["split"][day]["dividends"] == sum(
                found[name][day]["dividends"] for name in ("control", "control of the short")
            )

    assert_equal(evening(DAYS[4]), days=5)
    market.split("SPL", EX, 4)
    assert_equal(evening(EX), days=6)
    assert_equal(evening(DAYS[-1]), days=12)
    market.pay("CTL", DAYS[9], 1.0)
    market.pay("SPL", DAYS[9], 0.25)
    found = evening(DAYS[-1])
    assert_equal(found, days=12)
    assert found["split"][DAYS[9]]["dividends"] == 20 - 8 - 8
    assert run(database, DAYS).generation is None
