"""Which option lots are settled, when and at what price, from books made by hand."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_assets.errors import PublicationError
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.orchestration.option_expiry import Expired, find_expired, settled_books
from sigmasight_assets.quant.splits import Splits
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.books import Books
from sigmasight_assets.storage.option_expiries import Settlements
from tests.orchestration.small_books import BOUGHT, DOLLARS, MONEY, NONE, Lot, days, small_books

# A Friday, and the Thursday before Good Friday of 2025.
FRIDAY, GOOD_FRIDAY = date(2025, 6, 20), date(2025, 4, 18)
CALL, PUT = "AAA250620C00100000", "BBB250620P00050500"
NO_SPLITS = Splits(NONE, days(), NONE, NONE)


def option(symbol: str, quantity: int, number: int, entry: date = BOUGHT, exited: date | None = None) -> Lot:
    return Lot(symbol, quantity, number, "OPTIONS", entry, exited)


def found(*lots: Lot, last: date = FRIDAY) -> dict[int, tuple[str, date]]:
    """Contract and settlement session of the lots that are found expired, by their numbers."""
    books = small_books({11: lots})
    expired = find_expired(books, exchange_calendar(), last=last)
    numbers = books.position_ids[expired.lot].tolist()
    contracts = [(expired.symbols[each], expired.sessions[each].item()) for each in expired.contract.tolist()]
    return dict(zip(numbers, contracts, strict=True))


def settle(
    books: Books, closes: dict[str, int], *, splits: Splits = NO_SPLITS, last: date = FRIDAY
) -> tuple[Books, Settlements, Expired]:
    """With these closes of the underlyings, in 1e-4 USD, at every session."""
    expired = find_expired(books, exchange_calendar(), last=last)
    prices = np.array([closes.get(each.underlying, 0) for each in expired.contracts], dtype=np.int64)
    return *settled_books(books, expired, closes=prices, splits=splits), expired


class TestExpired:
    def test_on_the_day_of_the_expiry_and_ever_after(self) -> None:
        lots = option(CALL, 1, 1), option(PUT, -2, 2)
        assert found(*lots, last=date(2025, 6, 18)) == {}
        assert found(*lots) == {1: (CALL, FRIDAY), 2: (PUT, FRIDAY)}
        assert found(*lots, last=date(2031, 6, 20)) == {1: (CALL, FRIDAY), 2: (PUT, FRIDAY)}

    @pytest.mark.fault(31)
    @pytest.mark.parametrize(
        ("symbol", "session"),
        [
            ("AAA250418C00100000", date(2025, 4, 17)),
            ("AAA250621C00100000", FRIDAY),
            ("AAA250619C00100000", date(2025, 6, 18)),
            ("O:AAA250620C00100000", FRIDAY),
            ("AAA   250620C00100000", FRIDAY),
        ],
        ids=["Good Friday", "a Saturday", "a holiday", "with a prefix", "padded"],
    )
    def test_the_last_session_not_after_the_expiry_settles(self, symbol: str, session: date) -> None:
        lot = option(symbol, 1, 1, date(2025, 4, 1))
        assert found(lot, last=session) == {1: (symbol, session)}
        assert found(lot, last=exchange_calendar().offset(session, -1)) == {}

    @pytest.mark.fault(31)
    @pytest.mark.parametrize(
        "symbol",
        ["AAA1250620C00100000", "NOTANOPTION", "AAA351231C00100000", "AAA991231C00100000", "AAA000101C00100000"],
        ids=["adjusted", "no contract", "the end of the calendar", "beyond it", "before it"],
    )
    def test_no_rule_settles_it(self, symbol: str) -> None:
        assert found(option(symbol, 1, 1), option(CALL, 1, 2), last=date(2035, 12, 28)) == {2: (CALL, FRIDAY)}

    def test_only_lots_that_are_open_at_the_session(self) -> None:
        lots = (
            option(CALL, 1, 1, exited=date(2025, 6, 18)),
            option(CALL, 1, 2, exited=FRIDAY),
            option(CALL, 1, 3, exited=date(2025, 6, 23)),
            option(CALL, 1, 4, FRIDAY),
            option(CALL, 1, 5, date(2025, 6, 21)),
            Lot("AAA", 1, 6),
            Lot(CALL, 1, 7),
        )
        assert list(found(*lots)) == [3, 4]

    def test_without_options(self) -> None:
        books = small_books({11: [Lot("AAA", 1, 1)]})
        expired = find_expired(books, exchange_calendar(), last=FRIDAY)
        assert (len(expired.lot), expired.contracts, expired.shares) == (0, [], [])
        after, settlements = settled_books(books, expired, closes=NONE, splits=NO_SPLITS)
        assert np.isnat(after.lots.exit_date).all()
        assert len(settlements.position_id) == 0


class TestSettlement:
    def test_in_and_out_of_the_money_long_and_short(self) -> None:
        """The call is struck at 100 and the put at 50.50."""
        books = small_books({11: [option(CALL, 3, 1), option(PUT, -2, 2)], 12: [option(CALL, -1, 3), Lot("AAA", 1, 4)]})
        after, settlements, _ = settle(books, {"AAA": 1_125_001, "BBB": 60 * DOLLARS})
        np.testing.assert_array_equal(after.lots.exit_date, days(FRIDAY, FRIDAY, FRIDAY, None))
        assert after.lots.proceeds.tolist() == [375_003 * 10**6, 0, -125_001 * 10**6, 0]
        assert settlements.portfolio.tolist() == [0, 0, 1]
        assert settlements.position_id.tolist() == [1, 2, 3]
        assert (settlements.symbol, settlements.underlying) == ([CALL, PUT, CALL], ["AAA", "BBB", "AAA"])
        assert settlements.underlying_price.tolist() == [1_125_001, 600_000, 1_125_001]
        assert settlements.price.tolist() == [125_001, 0, 125_001]
        np.testing.assert_array_equal(settlements.session, days(FRIDAY, FRIDAY, FRIDAY))
        assert np.isnat(books.lots.exit_date).all()

    @pytest.mark.parametrize(
        "symbol", [CALL, PUT, "AAA250620P00100000", "AAA250620C00099999", "AAA250620P00000001", "AAA250620C99999999"]
    )
    @pytest.mark.parametrize("close", [1, 504_999, 505_001, 999_990, 1_000_000, 1_000_001])
    def test_the_price_is_the_intrinsic_value(self, symbol: str, close: int) -> None:
        contract = parse_occ_symbol(symbol)
        _, settlements, _ = settle(small_books({11: [option(symbol, 1, 1)]}), {contract.underlying: close})
        assert Decimal(int(settlements.price[0])).scaleb(-4) == contract.intrinsic_value(Decimal(close).scaleb(-4))

    def test_an_exit_after_the_settlement_is_superseded(self) -> None:
        books = small_books({11: [option(CALL, 1, 1, exited=date(2025, 6, 23))]})
        books.lots.proceeds[:] = 7
        after, _, _ = settle(books, {"AAA": 101 * DOLLARS})
        np.testing.assert_array_equal(after.lots.exit_date, days(FRIDAY))
        assert after.lots.proceeds.tolist() == [100 * MONEY]
        waiting, settlements, _ = settle(books, {})
        np.testing.assert_array_equal(waiting.lots.exit_date, days(date(2025, 6, 23)))
        assert (waiting.lots.proceeds.tolist(), settlements.price.tolist()) == ([7], [])

    def test_a_lot_waits_for_the_close_of_its_underlying(self) -> None:
        books = small_books({11: [option(CALL, 1, 1), option(PUT, 1, 2)]})
        after, settlements, expired = settle(books, {"BBB": 50 * DOLLARS})
        np.testing.assert_array_equal(after.lots.exit_date, days(None, FRIDAY))
        assert settlements.position_id.tolist() == [2]
        assert expired.shares == ["AAA", "BBB"]

    def test_the_close_is_brought_to_the_units_of_the_entry(self) -> None:
        """Splits of AAA 4:1 before the expiry and 1:3 after; the second lot was bought between them."""
        between = date(2025, 6, 17)
        lots = [option(PUT, 1, 3), option(CALL, 1, 1), option(CALL, 1, 2, between)]
        splits = Splits(np.array([0, 0]), days(date(2025, 6, 16), date(2025, 8, 1)), np.array([4, 1]), np.array([1, 3]))
        _, settlements, _ = settle(small_books({11: lots}), {"AAA": 1_000_001, "BBB": 400_000}, splits=splits)
        # 133.33346... and 33.33336..., each rounded once.
        assert dict(zip(settlements.position_id.tolist(), settlements.underlying_price.tolist(), strict=True)) == {
            1: 1_333_335,
            2: 333_334,
            3: 400_000,
        }
        assert settlements.price.tolist() == [105_000, 333_335, 0]

    def test_half_a_unit_goes_to_the_even_one(self) -> None:
        splits = Splits(np.array([0]), days(date(2025, 6, 16)), np.array([1]), np.array([2]))
        for close, expected in ((2_000_001, 1_000_000), (2_000_003, 1_000_002)):
            _, settlements, _ = settle(small_books({11: [option(CALL, 1, 1)]}), {"AAA": close}, splits=splits)
            assert settlements.underlying_price.tolist() == [expected]

    def test_amounts_beyond_what_is_exact_name_the_portfolio(self) -> None:
        books = small_books({11: [option(CALL, 1, 1)], 12: [option(CALL, 10**7, 2)]})
        with pytest.raises(PublicationError, match=r"portfolios \[12\] are too large to be exact"):
            settle(books, {"AAA": 1000 * DOLLARS})
