"""Tests of the settings: every variable is read, every wrong value is named, no secret is shown."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.settings import PREFIX, Settings, load_settings

PASSWORD = "correct-horse"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no variable of ours in the environment."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problem_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """What people are told when the variables, without their prefix, are set so."""
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()
    assert (settings.home, settings.database_url, settings.market) == (Path(".sigmasight"), "", "simulated")
    assert (settings.api_port, settings.ui_port, settings.min_coverage) == (8000, 3000, 0.98)
    assert settings.history_start == date(2020, 1, 2)


def test_every_variable_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_environment_goes_before_the_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.joinpath(".env").write_text("SIGMASIGHT_API_PORT=1234\nSIGMASIGHT_UI_PORT=1235\nOTHER=1\n")
    monkeypatch.setenv("SIGMASIGHT_UI_PORT", "4321")
    settings = load_settings()
    assert (settings.api_port, settings.ui_port) == (1234, 4321)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(PREFIX + name.upper(), "")
    assert load_settings() == Settings.model_construct()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().market = "files"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MARKET", "yahu", "SIGMASIGHT_MARKET: Input should be 'simulated', 'files' or 'yahoo' (got 'yahu')"),
        ("HISTORY_START", "2020-02-30", "SIGMASIGHT_HISTORY_START: Input should be a valid date"),
        ("NOW", "2025-07-31T22:00:00", "SIGMASIGHT_NOW: Value error, needs a UTC offset, such as 2025-07-31T22"),
        ("DEMO_SYMBOLS", "49", "SIGMASIGHT_DEMO_SYMBOLS: Input should be greater than or equal to 50 (got '49')"),
        ("DEMO_SYMBOLS", "10001", "SIGMASIGHT_DEMO_SYMBOLS: Input should be less than or equal to 10000"),
        ("MIN_COVERAGE", "0", "SIGMASIGHT_MIN_COVERAGE: Input should be greater than 0"),
        ("MIN_COVERAGE", "98", "SIGMASIGHT_MIN_COVERAGE: Input should be less than or equal to 1"),
        ("MIN_COVERAGE", "nan", "SIGMASIGHT_MIN_COVERAGE: Input should be"),
        ("API_PORT", "65536", "SIGMASIGHT_API_PORT: Input should be less than or equal to 65535"),
        ("UI_PORT", "0", "SIGMASIGHT_UI_PORT: Input should be greater than or equal to 1"),
        ("DATABASE_URL", "mysql://user@host/name", "SIGMASIGHT_DATABASE_URL: Value error, must start with postgresql"),
        ("MARKET", "files", "SIGMASIGHT_MARKET=files needs SIGMASIGHT_MARKET_FILES, a directory of prices.parquet"),
        ("SECOND_MARKET", "files", "SIGMASIGHT_SECOND_MARKET=files needs SIGMASIGHT_MARKET_FILES, a directory of pri"),
        ("SECOND_MARKET", "simulated", "SIGMASIGHT_SECOND_MARKET is simulated, as SIGMASIGHT_MARKET is: name another"),
        (
            "SECOND_MARKET",
            "none",
            "SIGMASIGHT_SECOND_MARKET: Input should be 'simulated', 'files' or 'yahoo' (got 'none')",
        ),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    assert message in problem_with(monkeypatch, **{name: value})


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    message = problem_with(monkeypatch, API_PORT="http", UI_PORT="-1", MARKET="none")
    assert message.startswith("Wrong settings:\n")
    assert [line.split(":")[0] for line in message.splitlines()[1:]] == [
        "SIGMASIGHT_MARKET",
        "SIGMASIGHT_API_PORT",
        "SIGMASIGHT_UI_PORT",
    ]


def test_a_file_that_cannot_be_read_is_named(directory: Path) -> None:
    directory.joinpath(".env").write_bytes("SIGMASIGHT_HOME=zürich".encode("cp1252"))
    with pytest.raises(ConfigurationError, match=r"^\.env cannot be read: .+; save it as UTF-8 text"):
        load_settings()


class TestDatabaseUrl:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
    def test_every_spelling_means_the_driver_that_is_installed(
        self, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", f"{scheme}://user:p%40ss@host:5433/name?sslmode=require")
        url = "postgresql+psycopg2://user:p%40ss@host:5433/name?sslmode=require"
        assert load_settings().database_url == url

    @pytest.mark.fault(33)
    @pytest.mark.parametrize(
        "url",
        [
            f"mysql://user:{PASSWORD}@host/name",
            f"postgresql+psycopg://user:{PASSWORD}@host/name",
            f"postgresql://user:{PASSWORD}@host:port/name",
            f"postgresql://user:{PASSWORD}@[::1/name",
        ],
    )
    def test_a_wrong_one_is_refused_without_showing_its_password(
        self, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        message = problem_with(monkeypatch, DATABASE_URL=url)
        assert "SIGMASIGHT_DATABASE_URL" in message
        assert PASSWORD not in message

    def test_settings_may_be_logged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", f"postgresql://user:{PASSWORD}@host/name")
        assert PASSWORD not in repr(load_settings())


class TestBroker:
    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    def test_an_address_is_taken_as_it_is(self, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
        url = f"{scheme}://:{PASSWORD}@broker.example:6379/0"
        monkeypatch.setenv("SIGMASIGHT_BROKER_URL", url)
        settings = load_settings()
        assert settings.broker_url == url
        assert PASSWORD not in repr(settings)

    @pytest.mark.parametrize("url", [f"amqp://me:{PASSWORD}@host//", f"host:6379/{PASSWORD}"])
    def test_another_is_refused_without_being_shown(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        message = problem_with(monkeypatch, BROKER_URL=url)
        assert message.endswith("must be an address such as redis://:password@host:6379/0")
        assert PASSWORD not in message


class TestVendors:
    def test_polygon_has_the_names_that_its_own_client_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POLYGON_API_KEY", PASSWORD)
        monkeypatch.setenv("POLYGON_BASE_URL", "http://127.0.0.1:8099/polygon/")
        settings = load_settings()
        assert (settings.polygon_key, settings.polygon_url) == (PASSWORD, "http://127.0.0.1:8099/polygon")
        assert PASSWORD not in repr(settings)

    def test_a_wrong_address_is_named_as_it_was_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POLYGON_BASE_URL", "api.example.com")
        with pytest.raises(ConfigurationError, match=r"POLYGON_BASE_URL: Value error, must be an address") as caught:
            load_settings()
        assert "SIGMASIGHT_POLYGON" not in str(caught.value)

    @pytest.mark.parametrize("name", ["YAHOO_RATE", "POLYGON_RATE", "VENDOR_TIMEOUT"])
    def test_rates_and_times_are_positive(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        assert f"SIGMASIGHT_{name}: Input should be greater than 0" in problem_with(monkeypatch, **{name: "0"})


class TestWebhook:
    @pytest.mark.parametrize("url", ["", "https://hooks.example.com/T0/B1?token=x", "http://127.0.0.1:8099/"])
    def test_an_address_is_taken_as_it_is(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        monkeypatch.setenv("SIGMASIGHT_WEBHOOK_URL", url)
        assert load_settings().webhook_url == url

    @pytest.mark.parametrize(
        "url",
        [
            f"file:///etc/{PASSWORD}",
            f"ftp://host/{PASSWORD}",
            f"hooks.example.com/{PASSWORD}",
            f"https:///{PASSWORD}",
            f"https://host:port/{PASSWORD}",
            f"https://host:70000/{PASSWORD}",
            f"https://[::1/{PASSWORD}",
            f"https://host/a {PASSWORD}",
            f"https://h\u00f6st/{PASSWORD}",
            f"https://user:{PASSWORD}@host/",
        ],
    )
    def test_another_is_refused_without_being_shown(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        message = problem_with(monkeypatch, WEBHOOK_URL=url)
        assert message.endswith("must be an address such as https://host/path, without user and password")
        assert PASSWORD not in message

    def test_settings_may_be_logged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIGMASIGHT_WEBHOOK_URL", f"https://host/{PASSWORD}")
        assert PASSWORD not in repr(load_settings())


class TestApiAddress:
    def test_is_the_port_on_loopback_unless_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIGMASIGHT_API_PORT", "8123")
        assert load_settings().api_address == "http://127.0.0.1:8123"
        monkeypatch.setenv("SIGMASIGHT_API_URL", "https://risk.example.com/sigma/")
        assert load_settings().api_address == "https://risk.example.com/sigma"

    @pytest.mark.parametrize(
        "url",
        [
            "risk.example.com",
            "ftp://risk.example.com",
            "https://a b/",
            "https://me:secret@host",
            "https://h/?a=1",
            "https://h/#a",
        ],
    )
    def test_a_wrong_one_is_named(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        assert "SIGMASIGHT_API_URL: Value error, must be an address" in problem_with(monkeypatch, API_URL=url)


class TestClock:
    def test_a_fixed_clock_stands_still_in_utc(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIGMASIGHT_NOW", "2025-07-31T22:00:00-04:00")
        settings = load_settings()
        assert settings.clock() == settings.clock() == datetime(2025, 8, 1, 2, tzinfo=UTC)
        assert settings.clock().tzinfo is UTC

    def test_without_one_it_is_the_machines(self) -> None:
        before = datetime.now(UTC)
        assert before <= load_settings().clock() <= datetime.now(UTC)
