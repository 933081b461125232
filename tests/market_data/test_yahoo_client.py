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
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # The client settles on a directory with its first look into it, so this is a process of its own.
    with stand_in(YahooMarketplace().routes) as vendor:
        code = f"""
from pathlib import Path
from sigmasight_assets.market_data.vendor_calls import CallRules, VendorCallError
from sigmasight_assets.market_data.yahoo_client import YahooClient
client = YahooClient(CallRules(base_url={vendor.url!r}), Path({str(tmp_path / "kept")!r}))
client.summary("GONE", ("price",))
"""
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["cookies.db"]
    assert (capsys.readouterr().out, caplog.text) == ("", "")


def test_errors_name_no_address(tmp_path: Path) -> None:
    with stand_in(YahooMarketplace().routes) as vendor:
        url = vendor.url
    with pytest.raises(VendorCallError) as caught:
        YahooClient(CallRules(base_url=url), tmp_path).summary("ABC", ("price",))
    assert str(caught.value) == "unreachable: the connection failed (ConnectionError)"
