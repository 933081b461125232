"""Tests of the scenarios: the packaged ones are those of the formulas, and an operator's file is read or refused."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from sigmasight_api.scenarios import FILE, MOST_SCENARIOS, given_returns, read_scenarios, severity
from sigmasight_api.stress_schemas import CustomScenario
from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.quant.stress import RateModel
from tests.quant.stress_oracle import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
# Category and severity of formulas.md section 7, in its order.
KINDS = {
    "market_up_5": ("base", "mild"),
    "market_down_5": ("base", "mild"),
    "market_up_10": ("market", "moderate"),
    "market_down_10": ("market", "moderate"),
    "market_crash_35": ("market", "extreme"),
    "market_rally_25": ("market", "severe"),
    "rates_up_25bp": ("rates", "mild"),
    "rates_down_25bp": ("rates", "mild"),
    "rates_up_50bp": ("rates", "mild"),
    "rates_down_50bp": ("rates", "mild"),
    "rates_up_100bp": ("rates", "moderate"),
    "rates_down_100bp": ("rates", "moderate"),
    "rate_spike_300bp": ("rates", "severe"),
    "value_rotation_20": ("rotation", "severe"),
    "growth_rally_15": ("rotation", "moderate"),
    "small_cap_outperformance_10": ("rotation", "moderate"),
    "quality_flight_12": ("rotation", "moderate"),
    "vix_spike_150": ("volatility", "severe"),
    "liquidity_crisis": ("volatility", "severe"),
    "financial_crisis_2008": ("historical", "extreme"),
    "covid_crash_2020": ("historical", "extreme"),
    "dotcom_crash_2000": ("historical", "extreme"),
}
OWN = '[[scenarios]]\nid = "own"\nname = "Our own"\n'


def test_the_packaged_scenarios_are_those_of_the_formulas() -> None:
    found = {}
    for entry in read_scenarios():
        found[entry.id] = dict(entry.shocks) | ({} if entry.rates_bp is None else {"Rates": entry.rates_bp})
    assert found == SCENARIOS


def test_their_categories_and_severities_are_those_of_the_formulas() -> None:
    found = {entry.id: (entry.category, severity(given_returns(entry, RateModel()))) for entry in read_scenarios()}
    assert list(found.items()) == list(KINDS.items())


@pytest.mark.parametrize(
    ("shock", "expected"),
    [
        (0.0, "mild"),
        (0.0999, "mild"),
        (-0.1, "moderate"),
        (0.1999, "moderate"),
        (0.2, "severe"),
        (-0.3499, "severe"),
        (0.35, "extreme"),
        (1.0, "extreme"),
    ],
)
def test_severity_is_that_of_the_largest_shock(shock: float, expected: str) -> None:
    assert severity(np.array([np.nan, 0.01, shock, np.nan])) == expected


def test_shocks_are_returns_in_the_order_of_the_factors() -> None:
    asked = CustomScenario.model_validate({"shocks": {"Size": 0.1, "Market": -0.2, "Value": 0.0}, "rates_bp": -50})
    expected = [-0.2, 16.5 * 0.005 + 185 * 0.005**2, 0.0, np.nan, np.nan, np.nan, 0.1, np.nan]
    np.testing.assert_allclose(given_returns(asked, RateModel()), expected, rtol=1e-14)
    beta = CustomScenario.model_validate({"shocks": {"Market Beta": 0.3}})
    np.testing.assert_array_equal(given_returns(beta, RateModel()), [0.3, *[np.nan] * 7])


def test_an_operator_may_add_scenarios(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(f'{OWN}shocks = {{ "Low Volatility" = 0.1 }}\nrates_bp = 12.5\n', encoding="utf-8")
    *packaged, own = read_scenarios(file)
    assert tuple(packaged) == read_scenarios()
    assert (own.id, own.name, own.category) == ("own", "Our own", "custom")
    assert (own.shocks, own.rates_bp) == ({"Low Volatility": 0.1}, 12.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[scenarios]", "is not TOML: .*line 1"),
        ("", "must hold tables"),
        ("scenarios = []", "must hold tables"),
        ("scenarios = [3]", r"scenario 1 \(not a table\)"),
        (f"other = 1\n{OWN}rates_bp = 5", "nothing else"),
        (OWN, r"scenario 1 \(own\): Value error, needs at least one shock"),
        ("[[scenarios]]\nrates_bp = 5", r"scenario 1 \(without id\): id: Field required"),
        (f"{OWN}shocks = {{ Market = nan }}", r"\(own\): shocks.Market: Input should be a finite number"),
        (f"{OWN}shocks = {{ Market = true }}", r"shocks.Market: Input should be a valid number"),
        (f"{OWN}shocks = {{ Market = -1.5 }}", "shocks.Market: Input should be greater than or equal to -1"),
        (f"{OWN}shocks = {{ Gold = 0.1 }}", "shocks.Gold"),
        (f"{OWN}rates_bp = 401", "rates_bp: Input should be less than or equal to 400"),
        (f"{OWN}rates_bp = 5\nseverity = 'mild'", "severity: Extra inputs"),
        (f"{OWN}rates_bp = 5\n{OWN}rates_bp = 6", "a scenario own already"),
        ('[[scenarios]]\nid = "market_up_5"\nname = "x"\nrates_bp = 5', "a scenario market_up_5 already"),
        ('[[scenarios]]\nid = "Own!"\nname = "x"\nrates_bp = 5', "id: String should match"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected) as raised:
        read_scenarios(file)
    assert str(raised.value).startswith(f"SIGMASIGHT_SCENARIOS: {file}")


def test_every_wrong_scenario_is_named(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN + OWN.replace("own", "second") + "rates_bp = 500", encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        read_scenarios(file)
    assert [line.split(":")[0] for line in str(raised.value).splitlines()[1:]] == [
        "scenario 1 (own)",
        "scenario 2 (second)",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(OWN.replace("Our", "É").encode("latin-1"))
    for file in (tmp_path / "absent.toml", tmp_path, latin):
        with pytest.raises(ConfigurationError, match="cannot be read as UTF-8 text"):
            read_scenarios(file)


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.+?)^```", page, flags=re.MULTILINE | re.DOTALL)
    file = tmp_path / "own.toml"
    file.write_text(example, encoding="utf-8")
    *_, own = read_scenarios(file)
    assert (own.id, own.rates_bp, own.shocks) == ("stagflation", 200.0, {"Market": -0.15, "Low Volatility": 0.05})


def test_the_packaged_file_is_part_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert FILE in project["tool"]["setuptools"]["package-data"]["sigmasight_api"]


def test_there_is_a_most(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    many = [OWN.replace("own", f"own_{number}") + "rates_bp = 5\n" for number in range(MOST_SCENARIOS - len(SCENARIOS))]
    file.write_text("\n".join(many), encoding="utf-8")
    assert len(read_scenarios(file)) == MOST_SCENARIOS
    file.write_text("\n".join([*many, f"{OWN}rates_bp = 5"]), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="at most 100 scenarios"):
        read_scenarios(file)
