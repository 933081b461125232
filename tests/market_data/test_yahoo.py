"""The real yfinance client against a stand-in: what each answer of Yahoo arrives as."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.market_data.action_validation import validate_actions
from sigmasight_assets.market_data.protocol import BAR_VALUES, BarRequest, Outcome, SymbolOutcome
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.market_data.vendor_calls import CallRules, GuardedSession
from sigmasight_assets.market_data.yahoo import NO_TICKER, YahooMarket
from tests.market_data.yahoo_runs import (
    CALENDAR,
    DAYS,
    FIRST,
    LAST,
    TODAY,
    ask,
    closes_of,
    company,
    days_of,
)
from tests.vendors import yahoo
from tests.vendors.server import Behaviour, StandIn
from tests.vendors.yahoo import YahooMarketplace, bar_of


class TestGoodAnswers:
    def test_bars_come_as_stated_in_one_call(self, source: YahooMarket, vendor: StandIn) -> None:
        answer = ask(source)
        assert answer.outcomes == {"ABC": SymbolOutcome(Outcome.OK)}
        assert answer.bars.to_pylist()[0] == {
            "symbol": "ABC",
            "price_date": FIRST,
            "open_price": 100.0,
            "high_price": 101.0,
            "low_price": 99.0,
            "close_price": 100.0,
            "adj_close_price": 90.0,
            "volume": 1000.0,
        }
        assert days_of(answer) == list(DAYS)
        (request,) = vendor.requests
        assert (request.key, request.query["events"], request.query["interval"]) == ("ABC", "div,splits", "1d")
        assert "Mozilla" in request.headers["User-Agent"]
        assert "crumb" not in request.query

    def test_the_answer_reaches_to_today_and_bars_after_the_window_are_dropped(
        self, source: YahooMarket, vendor: StandIn, market: YahooMarketplace
    ) -> None:
        market.companies["ABC"].splits[LAST] = (2, 1)
        answer = ask(source, last=DAYS[3])
        assert days_of(answer) == list(DAYS[:4])
        assert answer.actions["ex_date"].to_pylist() == [LAST]
        query = vendor.requests[0].query
        assert (query["period1"], query["period2"]) == (
            str(yahoo.at(FIRST) - 34_200),
            str(yahoo.at(TODAY + timedelta(days=1)) - 34_200),
        )

    def test_a_date_is_that_of_the_exchange(self, source: YahooMarket, vendor: StandIn) -> None:
        """Rows dated 20:00 in New York are of the next day in UTC, and midnight's of the previous day in Chicago."""
        late = yahoo.with_rows(lambda rows: [[row[0] + 37_800, *row[1:]] for row in rows])
        early = yahoo.with_rows(lambda rows: [[row[0] - 34_200, *row[1:]] for row in rows])
        vendor.script("ABC", late, early)
        assert days_of(ask(source)) == list(DAYS)
        assert days_of(ask(source)) == list(DAYS)

    def test_a_summer_time_change_moves_no_date(self, source: YahooMarket, market: YahooMarketplace) -> None:
        days = CALENDAR.between(date(2023, 10, 20), date(2024, 3, 15))
        market.companies["ABC"].bars = {day: bar_of(50.0) for day in days}
        assert days_of(ask(source, first=days[0])) == list(days)

    def test_splits_are_exact_and_dividends_as_stated(self, source: YahooMarket, market: YahooMarketplace) -> None:
        market.companies["ABC"].splits |= {DAYS[4]: (1281, 1000), DAYS[9]: (1.05, 1), DAYS[12]: (1, 0)}
        market.companies["ABC"].dividends |= {DAYS[4]: 0.24, DAYS[7]: 0.5}
        answer = ask(source, first=DAYS[2])
        rows = [tuple(row.values())[1:] for row in answer.actions.to_pylist()]
        assert rows == [
            (DAYS[4], "dividend", None, None, 0.24),
            (DAYS[4], "split", 1281, 1000, None),
            (DAYS[7], "dividend", None, None, 0.5),
            (DAYS[9], "split", 21, 20, None),
            (DAYS[12], "split", None, None, None),
        ]
        judged = validate_actions(answer.actions, [BarRequest("ABC", DAYS[2], LAST)], CALENDAR)
        assert (judged.valid.num_rows, len(judged.problems)) == (4, 1)

    def test_a_dividend_in_another_currency_is_no_amount(self, source: YahooMarket, vendor: StandIn) -> None:
        def pay(result: yahoo.Chart) -> None:
            when = yahoo.at(DAYS[5])
            result["events"] = {"dividends": {str(when): {"date": when, "amount": 30.0, "currency": "TWD"}}}

        vendor.script("ABC", yahoo.chart_altered(pay))
        answer = ask(source)
        assert np.isnan(answer.actions["amount"].to_pylist()).all()
        assert validate_actions(answer.actions, [BarRequest("ABC", FIRST, LAST)], CALENDAR).problems

    def test_a_restated_history_comes(self, source: YahooMarket, market: YahooMarketplace) -> None:
        """A closed range is kept by the client for the life of the process; this one is not asked for through it."""
        before = closes_of(ask(source, last=DAYS[5]))
        market.companies["ABC"].bars[DAYS[2]] = bar_of(55.0)
        assert closes_of(ask(source, last=DAYS[5])) == [*before[:2], 55.0, *before[3:]]

    def test_the_state_of_the_last_trade_replaces_the_row_of_its_day(
        self, source: YahooMarket, vendor: StandIn
    ) -> None:
        """Yahoo may state the newest session twice: as a row of its own and by its last trade, which is newer."""

        def trade(rows: list[list[Any]]) -> list[list[Any]]:
            return [*rows, [rows[-1][0] + 23_400, *rows[-1][1:6], rows[-1][6] + 1]]

        vendor.script("ABC", yahoo.with_rows(trade))
        answer = ask(source)
        assert days_of(answer) == list(DAYS)
        assert answer.bars["volume"].to_pylist()[-2:] == [1000.0, 1001.0]

    def test_several_symbols_have_an_answer_each(self, source: YahooMarket) -> None:
        answer = source.fetch_bars([BarRequest("ABC", FIRST, LAST), BarRequest("NONE", FIRST, LAST)])
        assert [each.outcome for each in answer.outcomes.values()] == [Outcome.OK, Outcome.UNKNOWN]
        assert set(answer.bars["symbol"].to_pylist()) == {"ABC"}
        assert source.fetch_bars([]).bars.num_rows == 0

    @pytest.mark.parametrize("symbol", ["BRK-B", "BRK.B"])
    def test_symbols_are_put_to_yahoo_in_its_spelling(self, source: YahooMarket, vendor: StandIn, symbol: str) -> None:
        answer = ask(source, symbol)
        assert answer.outcomes == {symbol: SymbolOutcome(Outcome.OK)}
        assert set(answer.bars["symbol"].to_pylist()) == {symbol}
        assert [request.key for request in vendor.requests] == ["BRK-B"]

    def test_there_is_no_list_of_symbols(self, source: YahooMarket, vendor: StandIn) -> None:
        assert source.listings() == []
        assert vendor.requests == []


# Its pandas is an older one than ours.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
class TestAgainstTheClientsOwnReading:
    """``Ticker.history`` reads the same where nothing is wrong; what it makes of the rest is why it is not used."""

    @pytest.fixture
    def history(self, vendor: StandIn, fresh_client: None) -> Callable[[], Any]:  # noqa: ARG002
        import yfinance  # noqa: PLC0415
        from yfinance.data import YfData  # noqa: PLC0415

        def read() -> Any:
            YfData.cache_get.cache_clear()
            ticker = yfinance.Ticker("ABC", session=GuardedSession(CallRules(base_url=vendor.url)))
            return ticker.history(start=FIRST, end=TODAY + timedelta(days=1), auto_adjust=False, keepna=True)

        return read

    def test_bars_and_actions_are_the_same(
        self, source: YahooMarket, market: YahooMarketplace, history: Callable[[], Any]
    ) -> None:
        market.companies["ABC"].splits[DAYS[20]] = (3, 2)
        market.companies["ABC"].dividends[DAYS[7]] = 0.5
        market.companies["ABC"].bars |= {day: bar_of(150.0 + place) for place, day in enumerate(DAYS[:20])}
        market.companies["ABC"].bars |= {day: bar_of(150.0) for day in DAYS[20:]}
        answer, frame = ask(source), history()
        assert [stamp.date() for stamp in frame.index] == days_of(answer)
        for name, title in zip(BAR_VALUES, ("Open", "High", "Low", "Close", "Adj Close", "Volume"), strict=True):
            np.testing.assert_array_equal(answer.bars[name].to_numpy(), frame[title].to_numpy())
        assert {(stamp.date(), cash) for stamp, cash in frame["Dividends"].items() if cash} == {(DAYS[7], 0.5)}
        assert {(stamp.date(), ratio) for stamp, ratio in frame["Stock Splits"].items() if ratio} == {(DAYS[20], 1.5)}
        assert answer.actions.num_rows == 2

    def test_it_hides_a_contradiction_and_a_missing_volume(
        self, source: YahooMarket, vendor: StandIn, history: Callable[[], Any]
    ) -> None:
        vendor.script("ABC", yahoo.conflicting_duplicate)
        assert (len(history()), ask(source).bars.num_rows) == (len(DAYS), len(DAYS) + 1)
        vendor.script("ABC", yahoo.nan_last_session)
        assert history()["Volume"].tolist()[-1] == 0
        assert np.isnan(ask(source).bars["volume"].to_pylist()[-1])


class TestBadRows:
    """They are passed on; what is stored of them is for the validation to say."""

    @pytest.mark.parametrize(
        ("behaviour", "counts"),
        [
            (yahoo.nan_last_session, {"empty_row": 1}),
            (yahoo.duplicate, {"duplicate": 1}),
            (yahoo.conflicting_duplicate, {"conflicting_duplicate": 2}),
            (yahoo.redated(1), {"not_a_session": 1}),
            (yahoo.redated(3), {"outside_window": 1}),
            (yahoo.redated(-7), {"conflicting_duplicate": 2}),
            (yahoo.with_rows(lambda rows: [[yahoo.at(date(2024, 1, 31)), *rows[0][1:]], *rows]), {"outside_window": 1}),
            (yahoo.with_rows(lambda rows: [[rows[0][0], 1, 1, 1, 0, 1, 5], *rows[1:]]), {"price_not_positive": 1}),
            (yahoo.with_rows(lambda rows: [[rows[0][0], 1, 1, -1, 1, 1, 5], *rows[1:]]), {"price_not_positive": 1}),
            (yahoo.with_rows(lambda rows: [[rows[0][0], 1, 1, 1, "x", 1, 5], *rows[1:]]), {"price_missing": 1}),
            (
                yahoo.with_rows(lambda rows: [[rows[0][0], 1, 1, 1, 1, "Infinity", 5], *rows[1:]]),
                {"price_not_finite": 1},
            ),
            (yahoo.with_rows(lambda rows: [[*rows[0][:6], None], *rows[1:]]), {"volume_missing": 1}),
            (yahoo.with_rows(lambda rows: [[*rows[0][:6], 1e20], *rows[1:]]), {"volume_invalid": 1}),
            (yahoo.with_rows(lambda rows: [[*rows[0][:6], 10**400], *rows[1:]]), {"volume_invalid": 1}),
            (yahoo.with_rows(lambda rows: [[*rows[0][:6], True], *rows[1:]]), {"volume_missing": 1}),
        ],
    )
    def test_bad_rows_reach_the_validation(
        self, source: YahooMarket, vendor: StandIn, behaviour: Behaviour, counts: dict[str, int]
    ) -> None:
        vendor.script("ABC", behaviour)
        answer = ask(source)
        assert answer.outcomes["ABC"].outcome is Outcome.OK
        judged = validate_bars(answer.bars, [BarRequest("ABC", FIRST, LAST)], CALENDAR)
        assert judged.counts == counts

    def test_rows_after_today_are_passed_on(self, source: YahooMarket, vendor: StandIn) -> None:
        vendor.script("ABC", yahoo.redated(3))
        assert days_of(ask(source, last=DAYS[2])) == [*DAYS[:3], LAST + timedelta(days=3)]

    def test_a_chart_without_adjusted_closes_has_none(self, source: YahooMarket, vendor: StandIn) -> None:
        vendor.script("ABC", yahoo.chart_altered(lambda result: result["indicators"].pop("adjclose")))
        assert np.isnan(ask(source).bars["adj_close_price"].to_numpy()).all()


class TestNoBars:
    def test_what_yahoo_does_not_know_is_unknown_in_one_call(self, source: YahooMarket, vendor: StandIn) -> None:
        answer = ask(source, "GONE")
        assert answer.outcomes == {"GONE": SymbolOutcome(Outcome.UNKNOWN, "No data found, symbol may be delisted")}
        assert len(vendor.requests) == 1

    @pytest.mark.parametrize("symbol", ["abc", "A/B", "../v1", "", "A B"])
    def test_what_is_no_ticker_is_not_asked_for(self, source: YahooMarket, vendor: StandIn, symbol: str) -> None:
        assert ask(source, symbol).outcomes == {symbol: SymbolOutcome(Outcome.UNKNOWN, NO_TICKER)}
        assert source.fetch_profiles([symbol], as_of=TODAY).problems == {symbol: NO_TICKER}
        assert vendor.requests == []

    def test_a_window_before_all_data_is_empty_in_one_call(self, source: YahooMarket, vendor: StandIn) -> None:
        vendor.script("ABC", yahoo.refuses(yahoo.NO_WINDOW, 400))
        answer = ask(source)
        assert answer.outcomes["ABC"].outcome is Outcome.EMPTY
        assert "startDate" in answer.outcomes["ABC"].detail
        assert len(vendor.requests) == 1

    def test_an_answer_without_rows_is_empty(self, source: YahooMarket, market: YahooMarketplace) -> None:
        market.companies["ABC"].bars = {}
        assert ask(source).outcomes["ABC"].outcome is Outcome.EMPTY

    def test_an_answer_with_later_rows_only_is_empty(self, source: YahooMarket, market: YahooMarketplace) -> None:
        market.companies["ABC"].bars = {LAST: bar_of(5.0)}
        answer = ask(source, last=DAYS[4])
        assert (answer.outcomes["ABC"].outcome, answer.bars.num_rows) == (Outcome.EMPTY, 0)

    def test_another_currency_is_not_our_market(self, source: YahooMarket, market: YahooMarketplace) -> None:
        market.companies["ABC"].currency = "GBp"
        answer = ask(source)
        assert answer.outcomes == {"ABC": SymbolOutcome(Outcome.UNKNOWN, "quoted in GBp, not in US dollars")}
        assert answer.bars.num_rows == 0

    def test_yahoos_words_are_cleaned(self, source: YahooMarket, vendor: StandIn) -> None:
        words = "No  data\r\nfound\x00\x1b[2J " + "x" * 500
        vendor.script("ABC", yahoo.refuses({"code": "Not Found", "description": words}))
        detail = ask(source).outcomes["ABC"].detail
        assert detail.startswith("No data found [2J xxx")
        assert len(detail) == 200


class TestSplitsWithoutTheirHistory:
    """Of three companies, one was never split, and the others were, 4 for 1."""

    EX_DATE = DAYS[10]

    @pytest.fixture
    def market(self) -> YahooMarketplace:
        split = company(splits={self.EX_DATE: (4, 1)}, dividends={DAYS[5]: 0.5})
        return YahooMarketplace({"CONTROL": company(dividends={DAYS[5]: 0.5}), "ABC": split})

    @pytest.mark.parametrize(("factor", "said"), [(1.0, ""), (4.0, "came not restated"), (0.25, "came restated twice")])
    def test_closes_are_in_the_last_units_whatever_was_sent(
        self, source: YahooMarket, vendor: StandIn, factor: float, said: str
    ) -> None:
        vendor.script("ABC", yahoo.rescaled_before(self.EX_DATE, factor))
        control, answer = ask(source, "CONTROL"), ask(source)
        for name in control.bars.column_names[2:]:
            np.testing.assert_allclose(answer.bars[name].to_numpy(), control.bars[name].to_numpy(), rtol=1e-12)
        outcome = answer.outcomes["ABC"]
        assert outcome.outcome is Outcome.OK
        assert outcome.detail == (f"prices before the split 4:1 of {self.EX_DATE} {said}" if said else "")
        # A dividend is in the units of the closes it was sent with.
        assert answer.actions["amount"].to_pylist()[0] == 0.5 / factor

    def test_a_window_that_ends_before_the_split_is_put_right_too(self, source: YahooMarket, vendor: StandIn) -> None:
        vendor.script("ABC", yahoo.rescaled_before(self.EX_DATE, 4.0))
        assert closes_of(ask(source, last=DAYS[3])) == [100.0, 101.0, 102.0, 103.0]
