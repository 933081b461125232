"""The client of docs/api.md runs as it is written there and prints what the API says."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_portfolio, add_token, publish_snapshot
from tests.api.test_aggregates import publish_market

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def run_example(api: Api, token: str) -> subprocess.CompletedProcess[str]:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    settings = {"SIGMASIGHT_API": str(api.http.base_url).rstrip("/"), "SIGMASIGHT_TOKEN": token}
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )


def test_it_prints_equity_exposures_and_the_worst_scenarios(api: Api, database: Database) -> None:
    publish_market(database)
    record = add_portfolio(database, "ann", {"AAA": "10", "BBB": "-4", "GONE": "1"})
    publish_snapshot(database, record, SESSIONS[-1], Decimal("700.25"))
    api.refresh()
    token = add_token(database, "ann")
    done = run_example(api, token)
    assert (done.returncode, done.stderr) == (0, "")
    first, left_out, *lines = done.stdout.splitlines()
    assert (first, left_out) == (f"Main: equity 700.25 USD as of {SESSIONS[-1]}", "  without GONE: no_price")
    path = f"/api/v1/analytics/portfolio/{record.public_id}"
    factors = api.get(f"{path}/factor-exposures", token).json()["data"]["factors"]
    assert lines[:12] == [f"  {factor['name']}: {factor['exposure']:.3f}" for factor in factors]
    scenarios = api.get(f"{path}/stress-test", token).json()["data"]["scenarios"]
    worst = sorted(scenarios, key=lambda scenario: float(scenario["correlated"]))[:3]
    assert lines[12:] == [f"  {scenario['name']}: {scenario['correlated']} USD" for scenario in worst]


def test_a_wrong_token_ends_it_with_the_reason(api: Api, database: Database) -> None:
    add_portfolio(database, "ann", {})
    done = run_example(api, "wrong")
    assert (done.returncode, done.stderr.strip()) == (1, "401: The API token is not valid.")
