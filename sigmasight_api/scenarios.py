"""The stress scenarios: those that come with the package, and those that an operator adds in a file."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from sigmasight_api.stress_schemas import ScenarioEntry, Severity, ShockSet
from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.stress import RATES, SHOCK_FACTORS, RateModel
from sigmasight_assets.settings import PREFIX

FILE = "scenarios.toml"
VARIABLE = f"{PREFIX}SCENARIOS"
# Every scenario costs memory for every symbol.
MOST_SCENARIOS = 100
BASIS_POINT = 1e-4
# Upper bounds of the largest shock.
SEVERITIES: tuple[tuple[float, Severity], ...] = ((0.10, "mild"), (0.20, "moderate"), (0.35, "severe"))
MARKET_NAMES = ("Market", "Market Beta")


def read_scenarios(further: Path | None = None) -> tuple[ScenarioEntry, ...]:
    """The packaged scenarios, and after them those of the file ``further``.

    Raises ``ConfigurationError`` that names the file and everything wrong in it.
    """
    own = _entries(files("sigmasight_api").joinpath(FILE).read_text(encoding="utf-8"), FILE)
    if further is None:
        return own
    try:
        text = further.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{VARIABLE}: {further} cannot be read as UTF-8 text: {error}") from None
    return _together(own, _entries(text, f"{VARIABLE}: {further}"), f"{VARIABLE}: {further}")


def given_returns(asked: ShockSet, rates: RateModel) -> FloatArray:
    """The shocks as returns (8,) in the order of the shocked factors, NaN where there is none."""
    given = np.full(len(SHOCK_FACTORS), np.nan)
    for place, factor in enumerate(SHOCK_FACTORS):
        names = MARKET_NAMES if factor.name in MARKET_NAMES else (factor.name,)
        for name, shock in asked.shocks.items():
            if name in names:
                given[place] = shock
    if asked.rates_bp is not None:
        given[RATES] = rates.fund_return(asked.rates_bp * BASIS_POINT)
    return given


def severity(given: FloatArray) -> Severity:
    """How severe a scenario is, from its shocks as returns (8,)."""
    largest = float(np.nanmax(np.abs(given)))
    return next((label for bound, label in SEVERITIES if largest < bound), "extreme")


def _entries(text: str, source: str) -> tuple[ScenarioEntry, ...]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source} is not TOML: {error}") from None
    tables = document.get("scenarios")
    unknown = sorted(set(document) - {"scenarios"})
    if unknown or not isinstance(tables, list) or not tables:
        raise ConfigurationError(f"{source} must hold tables [[scenarios]] and nothing else")
    problems: list[str] = []
    entries = [_entry(table, number, problems) for number, table in enumerate(tables, start=1)]
    if problems:
        raise ConfigurationError("\n".join([f"{source} has wrong scenarios:", *problems]))
    return tuple(entry for entry in entries if entry is not None)


def _entry(table: Any, number: int, problems: list[str]) -> ScenarioEntry | None:
    try:
        return ScenarioEntry.model_validate(table)
    except ValidationError as error:
        shown = table.get("id", "without id") if isinstance(table, dict) else "not a table"
        for item in error.errors():
            where = ".".join(str(part) for part in item["loc"])
            problems.append(f"scenario {number} ({shown}): {where + ': ' if where else ''}{item['msg']}")
        return None


def _together(
    own: tuple[ScenarioEntry, ...], further: tuple[ScenarioEntry, ...], source: str
) -> tuple[ScenarioEntry, ...]:
    seen = {entry.id for entry in own}
    for entry in further:
        if entry.id in seen:
            raise ConfigurationError(f"{source}: there is a scenario {entry.id} already; choose another id")
        seen.add(entry.id)
    if len(seen) > MOST_SCENARIOS:
        raise ConfigurationError(f"{source}: with the {len(own)} packaged ones at most {MOST_SCENARIOS} scenarios")
    return own + further
