"""Tests of what a custom scenario accepts."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sigmasight_api.stress_schemas import CustomScenario


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"shocks": {}}',
        '{"shocks": null}',
        '{"rates_bp": null}',
        '{"shocks": {"Market": NaN}}',
        '{"shocks": {"Market": Infinity}}',
        '{"shocks": {"Market": 1e400}}',
        '{"shocks": {"Market": true}}',
        '{"shocks": {"Market": "0.1"}}',
        '{"shocks": {"Market": null}}',
        '{"shocks": {"Market": 1.0000001}}',
        '{"shocks": {"Value": -1.5}}',
        '{"shocks": {"market": 0.1}}',
        '{"shocks": {"Growth-Value Spread": 0.1}}',
        '{"shocks": {"IR Beta": 0.1}}',
        '{"shocks": {"Market": 0.1, "Market Beta": 0.1}}',
        '{"shocks": [0.1]}',
        '{"rates_bp": NaN}',
        '{"rates_bp": true}',
        '{"rates_bp": "25"}',
        '{"rates_bp": 400.5}',
        '{"rates_bp": -1e400}',
        '{"rates_bp": 25, "id": "own"}',
        '{"rates_bp": 25, "name": ""}',
        '{"rates_bp": 25, "name": "a\\nb"}',
        '{"rates_bp": 25, "name": "a\\u0000"}',
        '{"rates_bp": 25, "name": 7}',
    ],
)
def test_what_is_no_scenario_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        CustomScenario.model_validate(json.loads(text))


@pytest.mark.parametrize(
    "value",
    [
        {"rates_bp": -400},
        {"rates_bp": 0},
        {"shocks": {}, "rates_bp": 12.5},
        {"shocks": {"Market": 1}},
        {"shocks": {"Low Volatility": -1.0}, "rates_bp": None},
        {"shocks": {"Market Beta": 0.0}, "name": "é" * 100},
    ],
)
def test_what_is_one_is_taken(value: dict[str, Any]) -> None:
    asked = CustomScenario.model_validate(value)
    assert asked.shocks == value.get("shocks", {})
    assert asked.rates_bp == value.get("rates_bp")


def test_the_document_says_that_there_must_be_a_shock() -> None:
    schema = CustomScenario.model_json_schema()
    assert [part["required"] for part in schema["anyOf"]] == [["shocks"], ["rates_bp"]]
    assert schema["properties"]["shocks"]["not"] == {"required": ["Market", "Market Beta"]}
