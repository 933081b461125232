"""What the client costs and keeps; its calls and failures are in test_yahoo."""

import subprocess
import sys
from pathlib import Path

import pytest

from sigmasight_assets.market_data.vendor_calls import CallRules, VendorCallError
from sigmasight_assets.market_data.yahoo_client import YahooClient
from tests.vendors.server import stand_in
from tests.vendors.yahoo import YahooMarketplace


def test_yfinance_is_imported_by_those_who_ask_only() -> None:
    code = (
        "import sys, sigmasight_assets.market_data.yahoo; sys.exit(bool({'yfinance', 'pandas'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_the_client_keeps_is_in_the_directory_and_nothing_is_printed(
    tmp_path: Path,
) -> None:
    done = ask_elsewhere(tmp_path / "deep" / "kept")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in (tmp_path / "deep" / "kept").iterdir()] == ["cookies.db"]


def test_files_that_are_damaged_are_named(tmp_path: Path) -> None:
    (tmp_path / "cookies.db").write_bytes(b"no database" * 1000)
    done = ask_elsewhere(tmp_path)
    assert done.returncode == 1
    message = f"yfinance cannot use the files it keeps in {tmp_path} (file is not a database): remove the directory"
    assert done.stderr.splitlines()[-1] == f"sigmasight_assets.errors.MarketDataError: {message}"


def test_a_directory_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert ask_elsewhere(tmp_path / "file" / "kept").returncode == 0


def ask_elsewhere(cache: Path) -> subprocess.CompletedProcess[str]:
    """One call in a process of its own: the client settles on a directory with its first look into it."""
    with stand_in(YahooMarketplace().routes) as vendor:
        code = f"""
from pathlib import Path
from sigmasight_assets.market_data.vendor_calls import CallRules
from sigmasight_assets.market_data.yahoo_client import YahooClient
YahooClient(CallRules(base_url={vendor.url!r}), Path({str(cache)!r})).summary("GONE", ("price",))
"""
        return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


def test_errors_name_no_address(tmp_path: Path) -> None:
    with stand_in(YahooMarketplace().routes) as vendor:
        url = vendor.url
    with pytest.raises(VendorCallError) as caught:
        YahooClient(CallRules(base_url=url), tmp_path).summary("ABC", ("price",))
    assert str(caught.value) == "unreachable: the connection failed (ConnectionError)"
