from datetime import date, datetime
from pathlib import Path

import pytest

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.market_data.files import FilesMarket
from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.market_data.second_source import WithSecond
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar
from sigmasight_assets.settings import Settings


def test_simulated_market_has_the_stocks_of_the_settings(calendar: SessionCalendar) -> None:
    now = datetime(2035, 12, 31, 22, tzinfo=NEW_YORK)
    source = build_source(Settings(market="simulated", demo_symbols=60, now=now), calendar)
    assert isinstance(source, SimulatedMarket)
    assert len(source.listings()) == 8 + 60


def test_simulated_market_knows_what_is_known_at_the_clock(calendar: SessionCalendar) -> None:
    for hour, newest in ((20, date(2025, 7, 30)), (21, date(2025, 7, 31))):
        now = datetime(2025, 7, 31, hour, tzinfo=NEW_YORK)
        source = build_source(Settings(market="simulated", now=now), calendar)
        bars = source.fetch_bars([BarRequest("SPY", date(2025, 7, 1), date(2025, 12, 31))]).bars
        assert max(bars["price_date"].to_pylist()) == newest


def test_files_market_reads_the_directory_of_the_settings(calendar: SessionCalendar, tmp_path: Path) -> None:
    source = build_source(Settings(market="files", market_files=tmp_path), calendar)
    assert isinstance(source, FilesMarket)
    assert source.directory == tmp_path


def test_files_market_without_a_directory_is_refused(calendar: SessionCalendar) -> None:
    with pytest.raises(ConfigurationError, match="SIGMASIGHT_MARKET_FILES must be a directory"):
        build_source(Settings(market="files", market_files=None), calendar)


def test_a_second_market_stands_behind_the_first(calendar: SessionCalendar, tmp_path: Path) -> None:
    settings = Settings(market="simulated", second_market="files", market_files=tmp_path)
    source = build_source(settings, calendar)
    assert isinstance(source, WithSecond)
    assert isinstance(source.first, SimulatedMarket)
    assert isinstance(source.second, FilesMarket)
    with pytest.raises(ConfigurationError, match="SIGMASIGHT_MARKET_FILES must be a directory"):
        build_source(Settings(market="simulated", second_market="files"), calendar)
