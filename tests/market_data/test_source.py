from pathlib import Path

import pytest

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.market_data.files import FilesMarket
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.settings import Settings


def test_simulated_market_has_the_stocks_of_the_settings(calendar: SessionCalendar) -> None:
    source = build_source(Settings(market="simulated", demo_symbols=60), calendar)
    assert isinstance(source, SimulatedMarket)
    assert len(source.listings()) == 8 + 60


def test_files_market_reads_the_directory_of_the_settings(calendar: SessionCalendar, tmp_path: Path) -> None:
    source = build_source(Settings(market="files", market_files=tmp_path), calendar)
    assert isinstance(source, FilesMarket)
    assert source.directory == tmp_path


def test_files_market_without_a_directory_is_refused(calendar: SessionCalendar) -> None:
    with pytest.raises(ConfigurationError, match="SIGMASIGHT_MARKET_FILES must be a directory"):
        build_source(Settings(market="files", market_files=None), calendar)
