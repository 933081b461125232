"""Publications name the symbols of which something differs at a session, by whichever path it came to differ."""

from datetime import date
from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.markets import HALTED, ScriptedMarket, stock
from tests.orchestration.symbol_runs import (
    altered,
    delete_bars,
    ledger,
    mark,
    marks,
    publish,
    refresh,
    restate,
    split_exactly,
    stocks,
)

NEWEST = TARGETS[-1:]
ADD_ACTION = (
    "INSERT INTO corporate_actions (symbol, ex_date, kind, ratio_numerator, ratio_denominator, amount, source, run_id) "
    "VALUES (:symbol, :ex_date, :kind, :numerator, :denominator, :amount, 'scripted', 'prices')"
)


def named(database: Database, generation: int = 2) -> dict[date, list[str] | None]:
    return {row["session"]: row["symbols"] for row in ledger(database, generation)}


def add_action(database: Database, symbol: str, ex_date: date, **terms: Any) -> None:
    """An action that is stated and not published; a dividend unless it has a ratio."""
    numerator, denominator = terms.get("ratio", (None, None))
    values = {"numerator": numerator, "denominator": denominator, "amount": None if numerator else 0.1}
    execute(database, ADD_ACTION, symbol=symbol, ex_date=ex_date, kind="split" if numerator else "dividend", **values)


def test_first_publications_name_nobody(published: Database) -> None:
    assert named(published, 1) == dict.fromkeys(TARGETS)


def test_restated_bar(published: Database, awkward: ScriptedMarket) -> None:
    market, (symbol, other) = altered(awkward), stocks(published, 2)
    market.restate(symbol, TARGETS[7], 1.01)
    market.restate(other, TARGETS[9], 1.01)
    refresh(published, market)
    publish(published, NEWEST)
    assert named(published) == {day: sorted({symbol, other} if day >= TARGETS[9] else {symbol}) for day in TARGETS[7:]}


def test_symbols_that_are_there_for_the_first_time(published: Database, awkward: ScriptedMarket) -> None:
    market, model = altered(awkward), stocks(published, 1)[0]
    market.descriptions.append(stock("ADDED"))
    market.bars |= {("ADDED", day): values for (name, day), values in market.bars.items() if name == model}
    refresh(published, market)
    publish(published, NEWEST)
    assert named(published) == {day: ["ADDED"] for day in TARGETS}


def test_a_bar_that_is_gone_and_comes_back(published: Database, awkward: ScriptedMarket) -> None:
    symbol, day = stocks(published, 1)[0], TARGETS[9]
    delete_bars(published, day, symbol)
    publish(published)
    assert named(published) == {each: [symbol] for each in TARGETS[9:]}
    refresh(published, altered(awkward))
    assert marks(published) == [symbol]
    publish(published, NEWEST)
    assert named(published, 3) == {each: [symbol] for each in TARGETS[9:]}


def test_an_asked_session_that_was_complete(published: Database) -> None:
    """A bar changes that nobody marked: the slice of the session itself finds it."""
    symbol = stocks(published, 1)[0]
    restate(published, symbol, TARGETS[7], "volume = volume * 3")
    assert publish(published, TARGETS[7:9]).generation == 2
    assert named(published) == {day: [symbol] for day in TARGETS[7:9]}


def test_a_profile_that_comes_late(published: Database) -> None:
    symbol = stocks(published, 1)[0]
    insert = (
        "INSERT INTO company_profiles (symbol, captured_on, provider_beta, source) VALUES (:symbol, :day, 1.2, 't')"
    )
    execute(published, insert, symbol=symbol, day=TARGETS[-2])
    publish(published, TARGETS[-3:])
    assert named(published) == {day: [symbol] for day in TARGETS[-2:]}


def test_more_than_a_quarter_name_nobody(published: Database) -> None:
    """18 of 74 are named, 19 are not."""
    chosen = stocks(published, 19)
    for symbol in chosen[:18]:
        restate(published, symbol, TARGETS[-1], "volume = volume * 3")
    publish(published, NEWEST)
    assert named(published) == {TARGETS[-1]: sorted(chosen[:18])}
    for symbol in chosen:
        restate(published, symbol, TARGETS[-1], "volume = volume * 2")
        mark(published, symbol, TARGETS[-1])
    publish(published, NEWEST)
    assert named(published, 3) == {TARGETS[-1]: None}


def test_changed_covariances_concern_no_symbol(published: Database) -> None:
    execute(published, "DELETE FROM factor_covariances WHERE session = :day", day=TARGETS[6])
    publish(published, TARGETS[6:7])
    assert named(published) == {TARGETS[6]: []}


def test_a_session_that_was_incomplete_names_nobody(priced: Database) -> None:
    publish(priced, TARGETS[:1])
    publish(priced, TARGETS[1:2], products=SYMBOL_PRODUCTS[:3])
    symbol = stocks(priced, 1)[0]
    restate(priced, symbol, TARGETS[0], "adj_close_price = adj_close_price * 1.01")
    mark(priced, symbol, TARGETS[0], has_new_returns=True)
    publish(priced, TARGETS[1:2])
    assert named(priced, 3) == {TARGETS[0]: [symbol], TARGETS[1]: None}
    assert named(priced, 4) == {TARGETS[1]: None}


def test_a_restated_fund_names_itself_and_then_whoever_follows(published: Database, awkward: ScriptedMarket) -> None:
    market = altered(awkward)
    market.restate("TLT", TARGETS[9], 1.005)
    refresh(published, market)
    publish(published, NEWEST)
    assert named(published) == {day: ["TLT"] for day in TARGETS[9:]}
    assert named(published, 3) == dict.fromkeys(TARGETS[9:])


class TestActions:
    def test_a_split_with_the_closes_it_restates(self, published: Database, awkward: ScriptedMarket) -> None:
        market, symbol = altered(awkward), stocks(published, 1)[0]
        split_exactly(market, symbol, TARGETS[8], 4)
        refresh(published, market)
        publish(published, NEWEST)
        assert named(published) == {day: [symbol] for day in TARGETS}

    def test_a_split_without_any_close(self, published: Database) -> None:
        """It is between earlier lots and the prices of every session, also of those before it."""
        symbol = stocks(published, 1)[0]
        add_action(published, symbol, TARGETS[8], ratio=(2, 1))
        mark(published, symbol, TARGETS[8], actions_from=TARGETS[8])
        publish(published, NEWEST)
        assert named(published) == {day: [symbol] for day in TARGETS}
        rows = ledger(published, 2)
        assert {(row["rows_written"], str(row["counts"]), tuple(row["products"])) for row in rows} == {
            (0, "{}", SYMBOL_PRODUCTS)
        }

    def test_each_dividend_at_its_own_session(self, published: Database) -> None:
        """One mark is for both, and bears the earlier date."""
        symbol, other = stocks(published, 2)
        for each, day in ((symbol, TARGETS[2]), (symbol, TARGETS[8]), (other, TARGETS[8]), (other, date(2025, 7, 1))):
            add_action(published, each, day)
            mark(published, each, min(day, TARGETS[-1]), actions_from=day)
        publish(published, NEWEST)
        assert named(published) == {TARGETS[2]: [symbol], TARGETS[8]: sorted([symbol, other])}
        pending = "SELECT generation FROM corporate_actions"
        assert {row["generation"] for row in rows_of(published, pending)} == {2}

    def test_an_action_after_every_complete_session_waits(self, priced: Database) -> None:
        publish(priced, TARGETS[:4])
        publish(priced, TARGETS[4:5], products=SYMBOL_PRODUCTS[:3])
        symbol = stocks(priced, 1)[0]
        add_action(priced, symbol, TARGETS[4])
        mark(priced, symbol, TARGETS[4], actions_from=TARGETS[4])
        publish(priced, TARGETS[:1])
        assert rows_of(priced, "SELECT generation FROM corporate_actions") == [{"generation": None}]
        publish(priced, TARGETS[4:5])
        assert rows_of(priced, "SELECT generation FROM corporate_actions") == [{"generation": 3}]
        assert named(priced, 3) == {TARGETS[4]: None}

    def test_actions_published_with_a_slice_count_as_changes(self, published: Database) -> None:
        """Nobody marked the symbol; the covariances of one session bring its actions along."""
        symbol = stocks(published, 1)[0]
        add_action(published, symbol, TARGETS[4], ratio=(3, 1))
        execute(published, "DELETE FROM factor_covariances WHERE session = :day", day=TARGETS[6])
        publish(published, TARGETS[6:7])
        assert named(published) == {day: [symbol] for day in TARGETS}
        counts = {row["session"]: row["rows_written"] for row in ledger(published, 2)}
        assert counts == {day: int(day == TARGETS[6]) for day in TARGETS}


class TestCarriedFigures:
    """HALTED has no bar at the eighth session."""

    def test_of_a_restated_bar(self, published: Database) -> None:
        restate(published, HALTED, TARGETS[6], "close_price = close_price + 0.01, high_price = high_price + 0.01")
        publish(published, TARGETS[6:7])
        assert named(published) == {day: [HALTED] for day in TARGETS[6:8]}
        assert [row["rows_written"] for row in ledger(published, 2)] == [1, 0]

    def test_of_a_bar_that_is_gone(self, published: Database) -> None:
        delete_bars(published, TARGETS[6], HALTED)
        mark(published, HALTED, TARGETS[6], has_new_returns=True)
        publish(published, NEWEST)
        found = named(published)
        assert found == {day: [HALTED] for day in TARGETS[6:]}
        assert {row["session"]: row["rows_written"] > 0 for row in ledger(published, 2)} == {
            day: day != TARGETS[7] for day in TARGETS[6:]
        }

    @pytest.mark.parametrize(
        ("change", "reaches"), [("close_price = close_price + 0.01", 6), ("volume = volume * 3", 1)]
    )
    def test_for_five_sessions(self, published: Database, change: str, reaches: int) -> None:
        """Without a bar the symbol keeps the last close for five sessions, and nothing but that and its betas."""
        symbol = stocks(published, 1)[0]
        for day in TARGETS[4:10]:
            delete_bars(published, day, symbol)
        mark(published, symbol, TARGETS[4], TARGETS[9], has_new_returns=True)
        publish(published, NEWEST)
        restate(published, symbol, TARGETS[3], f"{change}, high_price = high_price + 1")
        publish(published, TARGETS[3:4])
        assert named(published, 3) == {day: [symbol] for day in TARGETS[3 : 3 + reaches]}
