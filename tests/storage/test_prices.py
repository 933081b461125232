"""Tests of daily bars against plain dictionaries: dense windows out, new and restated bars in, nothing twice."""

import math
from collections.abc import Callable
from datetime import date
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sigmasight_assets.market_data.protocol import BAR_VALUES
from sigmasight_assets.market_data.validation import REJECTED_SCHEMA, VALID_SCHEMA
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.prices import (
    ADJUSTED_TOLERANCE,
    PRICE_COLUMNS,
    PriceWindow,
    PriceWrite,
    dense_window,
    quarantine_bars,
    read_bars_of,
    read_other_sources,
    read_price_window,
    replace_changed_bars,
    without_bars,
    without_symbols,
)
from tests.contents import contents
from tests.storage.conftest import SESSIONS, SYMBOLS

# Open, high, low and close in 1e-4 USD, adjusted close in USD, shares.
Values = tuple[int, int, int, int, float, int]
Bars = dict[tuple[str, date], Values]
FIRST = (100_000, 110_000, 90_000, 105_000, 10.25, 1_000)


def random_bars(seed: int, share: float) -> Bars:
    random = np.random.default_rng(seed)
    bars: Bars = {}
    for symbol in SYMBOLS:
        for day in SESSIONS:
            if random.random() < share:
                low, first, second, high = (int(value) for value in np.sort(random.integers(1, 10**14, 4)))
                adjusted, volume = float(random.uniform(1e-4, 1e5)), int(random.integers(0, 2**62))
                bars[symbol, day] = (first, high, low, second, adjusted, volume)
    return bars


def table(bars: Bars) -> pa.Table:
    rows = [
        dict(zip(VALID_SCHEMA.names, (symbol, day, *values), strict=True)) for (symbol, day), values in bars.items()
    ]
    return pa.Table.from_pylist(rows, schema=VALID_SCHEMA)


def bars_of(window: PriceWindow) -> Bars:
    """The bars of a window, read cell by cell."""
    columns = [*(window.prices[name] for name in PRICE_COLUMNS), window.adj_close, window.volume]
    return {
        (window.grid.symbols[column], window.grid.sessions[row].item()): tuple(
            values[row, column].item() for values in columns
        )
        for row, column in zip(*np.nonzero(window.has_bar), strict=True)
    }


def write(database: Database, grid: Grid, bars: Bars, *, run_id: str = "r1", source: str = "test") -> PriceWrite:
    with database.bulk() as transaction:
        stored = read_price_window(transaction, grid)
        incoming = dense_window(table(bars), grid)
        return replace_changed_bars(transaction, stored, incoming, source=source, run_id=run_id)


def read(database: Database, grid: Grid) -> Bars:
    with database.bulk(read_only=True) as transaction:
        return bars_of(read_price_window(transaction, grid))


def restatements(database: Database) -> list[dict[str, Any]]:
    with database.begin() as connection:
        found = connection.exec_driver_sql("SELECT * FROM restatements ORDER BY symbol, price_date").mappings()
        return [dict(row) for row in found]


class TestWindows:
    def test_bars_are_laid_out_by_session_and_symbol(self, grid: Grid) -> None:
        bars = random_bars(1, share=0.6)
        elsewhere: Bars = {("ZZZ", SESSIONS[0]): FIRST, ("AAA", date(2024, 1, 2)): FIRST}
        window = dense_window(table({**elsewhere, **bars}), grid)
        assert bars_of(window) == bars
        assert window.close.shape == (5, 3)
        empty = ~window.has_bar
        assert 0 < empty.sum() < 15
        assert np.isnan(window.adj_close[empty]).all()
        assert all((values[empty] == 0).all() for values in (*window.prices.values(), window.volume))

    def test_no_bars_are_an_empty_window(self, grid: Grid) -> None:
        window = dense_window(table({}), grid)
        assert not window.has_bar.any()
        kinds = [values.dtype for values in (window.close, window.volume, window.adj_close)]
        assert kinds == [np.dtype("int64"), np.dtype("int64"), np.dtype("float64")]

    def test_what_is_read_is_what_was_stored_to_the_last_digit(self, database: Database, grid: Grid) -> None:
        bars = random_bars(2, share=0.7)
        bars["AAA", SESSIONS[0]] = (1, 10**14 - 1, 1, 10**14 - 1, 5e-324, 2**63 - 1)
        assert write(database, grid, bars).inserted == len(bars)
        assert read(database, grid) == bars

    def test_only_the_grid_and_the_columns_asked_for_are_read(self, database: Database, grid: Grid) -> None:
        bars = random_bars(3, share=1.0)
        write(database, grid, bars)
        smaller = Grid(grid.sessions[1:3], ("CCC", "ZZZ", "AAA"))
        with database.bulk(read_only=True) as transaction:
            window = read_price_window(transaction, smaller, columns=("close_price",))
        assert list(window.prices) == ["close_price"]
        expected = [[bars["CCC", day][3], 0, bars["AAA", day][3]] for day in SESSIONS[1:3]]
        assert window.close.tolist() == expected

    def test_some_symbols_are_left_out(self, grid: Grid) -> None:
        bars = random_bars(8, share=0.6)
        rest = without_symbols(dense_window(table(bars), grid), {"BBB", "ZZZ"})
        assert rest.grid.symbols == ("AAA", "CCC")
        assert rest.close.shape == (5, 2)
        assert bars_of(rest) == {key: values for key, values in bars.items() if key[0] != "BBB"}

    def test_bars_can_be_left_out(self, grid: Grid) -> None:
        bars = random_bars(seed=8, share=0.7)
        dropped = np.random.default_rng(9).random(grid.shape) < 0.5
        gone = {(SYMBOLS[column], SESSIONS[row]) for row, column in np.argwhere(dropped)}
        whole = dense_window(table(bars), grid)
        assert bars_of(without_bars(whole, dropped)) == {key: values for key, values in bars.items() if key not in gone}
        assert bars_of(whole) == bars

    def test_years_without_a_partition_of_their_own_are_kept(self, database: Database) -> None:
        days = [date(1999, 12, 31), date(2019, 12, 31), date(2020, 1, 2), date(2036, 1, 2)]
        long = Grid(np.array(days, dtype="datetime64[D]"), ("AAA",))
        bars: Bars = {("AAA", day): FIRST for day in days}
        write(database, long, bars)
        assert read(database, long) == bars


class TestChanges:
    @pytest.mark.parametrize("seed", [4, 5])
    def test_new_and_other_bars_are_taken_and_the_rest_stays(self, database: Database, grid: Grid, seed: int) -> None:
        before, other = random_bars(seed, share=0.7), random_bars(seed + 100, share=0.5)
        same = dict(list(before.items())[::3])
        incoming = {**other, **same}
        write(database, grid, before)
        counts = write(database, grid, incoming, run_id="r2")
        assert read(database, grid) == {**before, **incoming}
        changed = {key for key in incoming if key in before and incoming[key] != before[key]}
        new = incoming.keys() - before.keys()
        assert counts == PriceWrite(
            inserted=len(new),
            restated=len(changed),
            rescaled=0,
            unchanged=len(incoming) - len(new) - len(changed),
            symbols=tuple(sorted({symbol for symbol, _ in changed | new})),
            restated_sessions=tuple(sorted({day for _, day in changed})),
        )
        assert {(row["symbol"], row["price_date"]) for row in restatements(database)} == changed

    @pytest.mark.parametrize("place", range(6))
    def test_a_change_of_any_value_is_a_restatement(self, database: Database, grid: Grid, place: int) -> None:
        write(database, grid, {("AAA", SESSIONS[1]): FIRST, ("BBB", SESSIONS[1]): FIRST})
        values = list(FIRST)
        values[place] += 1
        changed: Bars = {("AAA", SESSIONS[1]): tuple(values)}  # type: ignore[dict-item]
        assert write(database, grid, changed, run_id="r2", source="other") == PriceWrite(
            0, 1, 0, 0, ("AAA",), (SESSIONS[1],)
        )
        assert read(database, grid) == {("BBB", SESSIONS[1]): FIRST, **changed}
        (row,) = restatements(database)
        assert (row["run_id"], row["old_adj_close_price"], row["new_adj_close_price"]) == ("r2", 10.25, values[4])
        closes = (row["old_close_price"] * 10_000, row["new_close_price"] * 10_000)
        assert closes == (FIRST[3], values[3])

    def test_the_log_tells_why_where_more_is_known(self, database: Database, grid: Grid) -> None:
        bars: Bars = {("AAA", SESSIONS[1]): FIRST, ("BBB", SESSIONS[1]): FIRST}
        write(database, grid, bars)
        other = dense_window(table(dict.fromkeys(bars, (*FIRST[:5], 7))), grid)
        with database.bulk() as transaction:
            stored = read_price_window(transaction, grid)
            replace_changed_bars(transaction, stored, other, source="test", run_id="r2", reasons={"BBB": "split 4:1"})
        assert [row["reason"] for row in restatements(database)] == ["re-read of stored sessions", "split 4:1"]

    def test_a_rescaled_history_is_stored_and_logged_once(self, database: Database, grid: Grid) -> None:
        bars: Bars = {("AAA", day): (*FIRST[:4], 10.0 + row, FIRST[5]) for row, day in enumerate(SESSIONS[:4])}
        other = {("BBB", SESSIONS[1]): FIRST}
        write(database, grid, {**bars, **other})
        rescaled: Bars = {key: (*values[:4], values[4] * 0.99, values[5]) for key, values in bars.items()}
        counts = write(database, grid, {**rescaled, **other}, run_id="r2")
        assert counts == PriceWrite(0, 0, 4, 1, ("AAA",))
        assert read(database, grid) == {**rescaled, **other}
        assert [(row["price_date"], row["new_adj_close_price"]) for row in restatements(database)] == [
            (SESSIONS[3], 13.0 * 0.99)
        ]

    def test_a_bar_that_changed_within_a_rescaled_history_is_logged_alone(self, database: Database, grid: Grid) -> None:
        bars: Bars = {("AAA", day): (*FIRST[:4], 10.0 + row, FIRST[5]) for row, day in enumerate(SESSIONS)}
        write(database, grid, bars)
        changed: Bars = {key: (*values[:4], values[4] * 0.99, values[5]) for key, values in bars.items()}
        changed["AAA", SESSIONS[2]] = (*FIRST[:4], 10.0, FIRST[5])
        counts = write(database, grid, changed, run_id="r2")
        assert (counts.restated, counts.rescaled) == (2, 3)
        # Its return, and that of the session after it, which rests on it.
        assert [row["price_date"] for row in restatements(database)] == SESSIONS[2:4]

    @pytest.mark.parametrize(("factor", "restated"), [(0.5, 0), (2.0, 1)])
    def test_floating_point_noise_is_none(self, database: Database, grid: Grid, factor: float, restated: int) -> None:
        write(database, grid, {("AAA", SESSIONS[1]): FIRST})
        noisy = (*FIRST[:4], FIRST[4] * (1 + factor * ADJUSTED_TOLERANCE), FIRST[5])
        assert write(database, grid, {("AAA", SESSIONS[1]): noisy}).restated == restated

    def test_a_rerun_changes_nothing_at_all(self, database: Database, grid: Grid) -> None:
        bars = random_bars(6, share=0.8)
        write(database, grid, bars)
        before = contents(database)
        assert write(database, grid, bars, run_id="r2", source="other") == PriceWrite(0, 0, 0, len(bars), ())
        assert contents(database) == before

    def test_an_empty_answer_removes_nothing(self, database: Database, grid: Grid) -> None:
        bars = random_bars(7, share=0.8)
        write(database, grid, bars)
        assert write(database, grid, {}) == PriceWrite(0, 0, 0, 0, ())
        assert read(database, grid) == bars


class TestTwoSources:
    """Bars that a second source served, until the first replaces them."""

    DAY = SESSIONS[3]

    @pytest.fixture
    def served(self, database: Database, grid: Grid) -> Database:
        """AAA and BBB with bars of the first, and a last one of AAA that the second has served."""
        write(database, grid, {(symbol, day): FIRST for symbol in ("AAA", "BBB") for day in SESSIONS[:3]})
        bars: Bars = {("AAA", self.DAY): FIRST, ("BBB", self.DAY): FIRST}
        with database.bulk() as transaction:
            replace_changed_bars(
                transaction,
                read_price_window(transaction, grid),
                dense_window(table(bars), grid),
                source="test",
                run_id="r1",
                sources={"AAA": "second"},
            )
        return database

    def taken_over(self, database: Database, grid: Grid, values: Values) -> PriceWrite:
        """The first sends the last bar of AAA."""
        with database.bulk() as transaction:
            return replace_changed_bars(
                transaction,
                read_price_window(transaction, grid),
                dense_window(table({("AAA", self.DAY): values}), grid),
                source="test",
                run_id="r2",
                of_others=read_bars_of(transaction, grid, {"second"}),
            )

    def served_bars(self, database: Database, grid: Grid, *names: str) -> list[tuple[str, date]]:
        with database.bulk(read_only=True) as transaction:
            found = read_bars_of(transaction, grid, names)
        return [(grid.symbols[column], grid.sessions[row].item()) for row, column in np.argwhere(found)]

    def test_rows_say_who_served(self, served: Database, grid: Grid) -> None:
        assert self.served_bars(served, grid, "second", "third") == [("AAA", self.DAY)]
        assert len(self.served_bars(served, grid, "test")) == 7
        assert self.served_bars(served, grid) == []
        days = {"first": SESSIONS[0], "last": self.DAY}
        with served.bulk(read_only=True) as transaction:
            assert read_other_sources(transaction, {"test"}, **days) == ["second"]
            assert read_other_sources(transaction, {"test", "second"}, **days) == []
            assert read_other_sources(transaction, {"third"}, **days) == ["second", "test"]
            assert read_other_sources(transaction, {"test"}, first=SESSIONS[0], last=SESSIONS[2]) == []

    @pytest.mark.parametrize("values", [FIRST, (*FIRST[:5], 7), (100_001, 110_001, 90_001, *FIRST[3:])])
    def test_the_same_price_is_taken_over_and_not_restated(self, served: Database, grid: Grid, values: Values) -> None:
        write = self.taken_over(served, grid, values)
        assert (write.taken_over, write.inserted, write.restated, write.rescaled, write.unchanged) == (1, 0, 0, 0, 0)
        assert read(served, grid)["AAA", self.DAY] == values
        assert (self.served_bars(served, grid, "second"), restatements(served)) == ([], [])

    @pytest.mark.parametrize("values", [(*FIRST[:3], 105_001, *FIRST[4:]), (*FIRST[:4], 10.5, FIRST[5])])
    def test_another_price_is_restated(self, served: Database, grid: Grid, values: Values) -> None:
        write = self.taken_over(served, grid, values)
        assert (write.taken_over, write.restated, write.restated_sessions) == (1, 1, (self.DAY,))
        assert [(row["symbol"], row["price_date"]) for row in restatements(served)] == [("AAA", self.DAY)]


def rejected(reason: str = "price_missing", symbol: str = "AAA", **values: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "price_date": SESSIONS[0],
        **dict.fromkeys(BAR_VALUES, 10.0),
        **values,
        "reason": reason,
    }


LONG_NAME = "".join(Random(1).choices("\N{GREEK SMALL LETTER ALPHA}bcdefghijklmnopqrstuvwxyz0123456789", k=10_000))


class TestQuarantine:
    @pytest.fixture
    def quarantine(self, database: Database) -> Callable[..., int]:
        """Quarantine bars; how many are kept then."""

        def keep(*bars: dict[str, Any], source: str = "test") -> int:
            with database.bulk() as transaction:
                quarantine_bars(transaction, pa.Table.from_pylist(list(bars), schema=REJECTED_SCHEMA), source=source)
                return int(transaction.read("SELECT count(*) AS kept FROM price_quarantine")["kept"][0].as_py())

        return keep

    def test_a_bar_is_kept_as_it_was_sent(self, database: Database, quarantine: Callable[..., int]) -> None:
        values: dict[str, Any] = {
            "open_price": -1.5,
            "high_price": math.inf,
            "low_price": None,
            "close_price": math.nan,
        }
        assert quarantine(rejected("price_not_finite", **values, volume=0.5)) == 1
        with database.begin() as connection:
            row = dict(connection.exec_driver_sql("SELECT * FROM price_quarantine").mappings().one())
        assert math.isnan(row.pop("close_price"))
        assert {
            name: row[name] for name in ("source", "symbol", "price_date", "reason", *BAR_VALUES) if name in row
        } == {
            "source": "test",
            "symbol": "AAA",
            "price_date": SESSIONS[0],
            "reason": "price_not_finite",
            "open_price": -1.5,
            "high_price": math.inf,
            "low_price": None,
            "adj_close_price": 10.0,
            "volume": 0.5,
        }

    @pytest.mark.parametrize(
        "values", [{}, {"low_price": None}, {"close_price": math.nan}, dict.fromkeys(BAR_VALUES), {"volume": math.inf}]
    )
    def test_the_same_bar_is_kept_once_however_often_it_comes(
        self, database: Database, quarantine: Callable[..., int], values: dict[str, Any]
    ) -> None:
        assert quarantine(rejected(**values), rejected(**values)) == 1
        before = contents(database)
        assert quarantine(rejected(**values)) == 1
        assert contents(database) == before

    def test_bars_that_differ_are_all_kept(self, quarantine: Callable[..., int]) -> None:
        """Conflicting duplicates differ in a value only."""
        first = rejected("conflicting_duplicate")
        others = [{**first, name: 10.5} for name in BAR_VALUES]
        assert quarantine(first, *others) == 7
        assert quarantine(*others, first) == 7
        assert quarantine(rejected("high_too_low"), rejected("conflicting_duplicate", symbol="BBB")) == 9
        assert quarantine(first, source="other") == 10

    @pytest.mark.fault(9)
    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("A\0B", "A\N{SYMBOL FOR NULL}B"),
            ("\x01\x7f'; --", "\x01\x7f'; --"),
            # An index row holds no more than 2,700 bytes, and compression does not help against chance.
            (LONG_NAME, LONG_NAME[:100]),
        ],
        ids=["zero byte", "control characters", "ten thousand characters"],
    )
    def test_a_name_that_the_database_cannot_hold_is_kept_so_that_it_can(
        self, database: Database, quarantine: Callable[..., int], sent: str, kept: str
    ) -> None:
        for _ in range(2):
            assert quarantine(rejected("not_asked", symbol=sent)) == 1
        with database.begin() as connection:
            assert connection.exec_driver_sql("SELECT symbol FROM price_quarantine").scalar_one() == kept

    def test_no_bar_is_no_change(self, quarantine: Callable[..., int]) -> None:
        assert quarantine() == 0
