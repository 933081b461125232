"""Nights of the simulated market, which splits, pays, corrects itself and is late, against one load at their end."""

from datetime import date

import pytest

from sigmasight_assets.market_data.protocol import DIVIDEND, SPLIT
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import rows_of
from tests.orchestration.price_runs import marks, publish_until, run, stated, track
from tests.orchestration.states import States


def facts(database: Database) -> dict[tuple[str, date], tuple[float, ...]]:
    """Every stored number of every bar."""
    rows = rows_of(database, "SELECT * FROM symbol_prices_daily")
    names = [name for name in rows[0] if name.endswith("_price") or name == "volume"]
    return {(row["symbol"], row["price_date"]): tuple(float(row[name]) for name in names) for row in rows}


def test_simulated_nights_come_to_what_one_load_brings(states: States, calendar: SessionCalendar) -> None:
    """A split and dividends, corrected and late bars: the store follows what the market learns."""
    database, known = states.database, SimulatedMarket(calendar, stocks=150)
    ex_dates = {day: item.symbol for item in known.listings() for day, _, _ in known.splits(item.symbol)}
    ex_date = next(day for day in sorted(ex_dates) if day > date(2024, 4, 1))
    first, nights = calendar.offset(ex_date, -60), calendar.between(calendar.offset(ex_date, -6), ex_date)
    nights += calendar.between(calendar.offset(ex_date, 1), calendar.offset(ex_date, 3))
    states.clear()
    for night in nights:
        market = SimulatedMarket(calendar, stocks=150, as_of=night)
        track(database, market)
        run(database, market, night, history_start=first)
        publish_until(database, night, sessions=[night])
    by_night, actions = facts(database), stated(database)
    assert (ex_dates[ex_date], ex_date, SPLIT) in actions
    assert {kind for _, _, kind in actions} == {SPLIT, DIVIDEND}
    split = next(mark for mark in marks(database) if mark[0] == ex_dates[ex_date])
    assert split[1] == first
    states.clear()
    track(database, market)
    run(database, market, nights[-1], history_start=first)
    assert stated(database) == actions
    at_once = facts(database)
    assert by_night.keys() == at_once.keys()
    for key, values in by_night.items():
        assert values == pytest.approx(at_once[key], rel=1e-8), key
