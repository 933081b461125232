"""``docs/simulated-market.md`` states the rates of the code, and its example runs."""

import re
from datetime import date
from pathlib import Path

import pytest

from sigmasight_assets.market_data import (
    simulated_actions,
    simulated_lives,
    simulated_model,
    simulated_options,
    simulated_profiles,
)
from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "simulated-market.md").read_text(encoding="utf-8")
TEXT = re.sub(r"\s+", " ", DOCUMENT)


def percent(value: float) -> str:
    return f"{100 * value:g} %"


@pytest.mark.parametrize(
    "statement",
    [
        f"{percent(simulated_actions.SPLITS_PER_YEAR)} of the listed stocks a year",
        f"**Dividends**: {percent(simulated_actions.PAYING_SHARE)} of the stocks",
        f"Every {simulated_actions.DIVIDEND_SPACING} sessions",
        f"at least {simulated_actions.SESSIONS_BEFORE_SPLIT} sessions after its listing",
        f"{percent(simulated_lives.LATE_LISTED_SHARE)} of the stocks over {simulated_lives.YEARS} years",
        f"{percent(simulated_lives.DELISTED_PER_YEAR)} of the stocks a year",
        f"{simulated_lives.HALTS_PER_YEAR:g} times a stock and year",
        "{} to {} sessions |".format(*simulated_lives.HALT_LENGTHS),
        f"{percent(simulated_lives.RECLASSIFIED_SHARE)} of the stocks once",
        f"stocks 1 to {simulated_lives.QUIET_STOCKS} (`QUIET_STOCKS`)",
        f"stock {simulated_lives.HALTING_STOCK + 1} (`HALTING_STOCK`)",
        f"missing | 1 in {1 / simulated_lives.MISSING_SHARE:,.0f} |",
        f"late | 1 in {1 / simulated_lives.LATE_SHARE:,.0f} |",
        f"restated | 1 in {1 / simulated_lives.RESTATED_SHARE:,.0f} |",
        f"off by {100 * simulated_lives.SMALLEST_ERROR:g} to {percent(simulated_lives.LARGEST_ERROR)}",
        f"(1 - 1/{1 / simulated_model.REVERSION:.0f})",
        f"{percent(simulated_profiles.LOSS_MAKING_SHARE)} with losses",
        f"{simulated_profiles.TURNOVER_SESSIONS} times the typical daily volume",
        f"noise of {simulated_profiles.VENDOR_BETA_NOISE:g}",
        f"{simulated_options.LISTED_DAYS} days before its expiry",
        f"a rate of {percent(simulated_options.RATE)}",
        f"{percent(simulated_options.QUIET_SHARE)} of its sessions pass without a trade",
        f"Volume is 1 to {simulated_options.LARGEST_VOLUME}",
        *(f"{fund} {100 * share:g}" for fund, share in zip(FACTOR_ETFS, simulated_actions.ETF_YIELD, strict=True)),
    ],
)
def test_stated_rates_are_those_of_the_code(statement: str) -> None:
    assert statement in TEXT


def test_stated_volatilities_and_correlations_are_those_of_the_code() -> None:
    names = ["market", "rates", "value", "growth", "momentum", "quality", "size", "low volatility"]
    rows = re.findall(r"^\| ([a-z ]+) \| ([0-9.]+) % \|([^|]*)\|$", DOCUMENT, flags=re.MULTILINE)
    assert [name for name, _, _ in rows] == names
    for position, (_, volatility, correlations) in enumerate(rows):
        assert float(volatility) / 100 == pytest.approx(simulated_model.LATENT_VOLATILITY[position])
        stated = dict(re.findall(r"([a-z][a-z ]*) (-?[0-9.]+)", correlations))
        for name, correlation in zip(names, simulated_model.LATENT_CORRELATION[position], strict=True):
            if names.index(name) > position:
                assert float(stated.get(name, 0)) == correlation, name


def test_the_example_runs(calendar: SessionCalendar) -> None:
    [example] = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    first, last = date(2025, 1, 2), date(2025, 6, 30)
    names = {"SimulatedMarket": SimulatedMarket, "BarRequest": BarRequest, "date": date, "calendar": calendar}
    exec(example, names | {"first": first, "last": last})  # noqa: S102
