"""Tests of what documents accept: ISO dates only, finite numbers only, no unknown field."""

from typing import Any

import pytest
from pydantic import ValidationError

from sigmasight_api.exposure_schemas import ProviderBeta
from sigmasight_api.operations_schemas import SessionRange


@pytest.mark.parametrize(
    "value",
    [1704412800, 17044128.0, "1704412800", "2025-7-1", "2025-07-32", "20250731", "2025-07-31T00:00", True, None, []],
)
def test_only_iso_dates_are_dates(value: Any) -> None:
    with pytest.raises(ValidationError):
        SessionRange.model_validate({"first": value, "last": "2025-07-31"})


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        SessionRange.model_validate({"first": "2025-07-31", "last": "2025-07-31", "force": True})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_no_document_can_hold_what_json_cannot(number: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        ProviderBeta(exposure=number, dollars=None, coverage=None, reason=None)
