"""Tests of the API's settings: what is accepted, and messages for what is not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from sigmasight_api.settings import Settings, load_settings
from sigmasight_assets.errors import ConfigurationError

VARIABLES = ("SIGMASIGHT_DATABASE_URL", "SIGMASIGHT_DAGSTER_GRAPHQL", "SIGMASIGHT_NOW")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("prefix", ["postgresql://", "postgres://", "postgresql+psycopg2://"])
def test_every_usual_prefix_means_psycopg2(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", f"{prefix}owner@host/market")
    assert load_settings().database_url == "postgresql+psycopg2://owner@host/market"


def test_only_the_database_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "postgresql://host/market")
    settings = load_settings()
    assert str(settings.dagster_graphql) == "http://127.0.0.1:3000/graphql"
    assert abs((settings.clock() - datetime.now(UTC)).total_seconds()) < 3600


def test_the_fixed_clock_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "postgresql://host/market")
    monkeypatch.setenv("SIGMASIGHT_NOW", "2025-07-31T22:00:00-04:00")
    assert load_settings().clock().isoformat() == "2025-08-01T02:00:00+00:00"


def test_the_environment_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SIGMASIGHT_DATABASE_URL=postgresql://host/from_file\nSIGMASIGHT_HOME=/elsewhere\n")
    assert load_settings().database_url.endswith("/from_file")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SIGMASIGHT_DATABASE_URL", "mysql://owner:secret@host/market", "must start with postgresql://"),
        ("SIGMASIGHT_DATABASE_URL", "", "SIGMASIGHT_DATABASE_URL: Field required"),
        ("SIGMASIGHT_DAGSTER_GRAPHQL", "localhost:3000", "SIGMASIGHT_DAGSTER_GRAPHQL: "),
        ("SIGMASIGHT_NOW", "2025-07-31T22:00:00", "needs a UTC offset"),
        ("SIGMASIGHT_NOW", "yesterday", "SIGMASIGHT_NOW: "),
    ],
)
def test_a_wrong_value_is_named_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "postgresql://host/market")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=expected) as raised:
        load_settings()
    assert variable in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DURATION", "0", "greater than 0"),
        ("DURATION", "nan", "finite number"),
        ("DURATION", "51", "less than or equal to 50"),
        ("CONVEXITY", "-1", "greater than or equal to 0"),
        ("CONVEXITY", "inf", "finite number"),
        ("DURATION", "14.7", "too large for SIGMASIGHT_RATES_DURATION"),
        ("CONVEXITY", "413", "too large for SIGMASIGHT_RATES_DURATION"),
    ],
)
def test_rising_yields_must_cost(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "postgresql://host/market")
    monkeypatch.setenv(f"SIGMASIGHT_RATES_{variable}", value)
    with pytest.raises(ConfigurationError, match=expected) as raised:
        load_settings()
    assert f"SIGMASIGHT_RATES_{variable}" in str(raised.value)


def test_duration_convexity_and_scenarios_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "postgresql://host/market")
    settings = load_settings()
    assert (settings.rates_duration, settings.rates_convexity, settings.scenarios) == (16.5, 370.0, None)
    monkeypatch.setenv("SIGMASIGHT_RATES_DURATION", "14.8")
    monkeypatch.setenv("SIGMASIGHT_SCENARIOS", "own.toml")
    settings = load_settings()
    assert (settings.rates_duration, settings.scenarios) == (14.8, Path("own.toml"))


def test_a_missing_database_is_named() -> None:
    with pytest.raises(ConfigurationError, match="SIGMASIGHT_DATABASE_URL: Field required"):
        load_settings()


def test_settings_do_not_change() -> None:
    settings = Settings.model_validate({"database_url": "postgresql://host/market"})
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, "database_url", "postgresql://other/market")  # noqa: B010 - mypy refuses the assignment itself
