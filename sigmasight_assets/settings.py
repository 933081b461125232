"""Settings of the asset package, read once from the environment and ``.env``.

Nothing else in the package reads environment variables.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from sigmasight_assets.errors import ConfigurationError

PREFIX = "SIGMASIGHT_"
# Their values hold passwords or tokens, and are shown to nobody.
DATABASE_URLS = (
    *("database_url", "api_database_url", "operator_database_url"),
    *("direct_database_url", "read_database_url"),
)
SECRETS = frozenset({*DATABASE_URLS, "broker_url", "webhook_url", "POLYGON_API_KEY"})
Port = Annotated[int, Field(ge=1, le=65535)]


AnySettings = TypeVar("AnySettings", bound="CommonSettings")


class CommonSettings(BaseSettings):
    """What every package of this project reads; each field is the variable ``SIGMASIGHT_<NAME>``.

    A variable that is empty counts as not set.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    database_url: str = Field(
        "", repr=False, description="SQLAlchemy URL of a PostgreSQL server; empty: the embedded one."
    )
    now: datetime | None = Field(None, description="A fixed clock for demos and tests, with its UTC offset.")
    retry_minutes: float = Field(
        30, gt=0.0, description="Minutes between two attempts at a session that was not published."
    )

    @field_validator("now")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a UTC offset, such as 2025-07-31T22:00:00-04:00")
        return value

    @field_validator(*DATABASE_URLS, check_fields=False)
    @classmethod
    def _driver(cls, value: str) -> str:
        """SQLAlchemy reads a bare ``postgresql://`` as psycopg 3, which is not installed."""
        if not value:
            return value
        # Most settings hold no URL, and a shell that completes a word waits for this module.
        from sqlalchemy.engine import make_url  # noqa: PLC0415
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

        scheme, _, rest = value.partition("://")
        if scheme not in ("postgresql", "postgres", "postgresql+psycopg2"):
            raise ValueError("must start with postgresql:// or postgresql+psycopg2://")
        try:
            make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("is not a URL such as postgresql://user:password@host:5432/name") from None
        return f"postgresql+psycopg2://{rest}"

    @property
    def retry_pause(self) -> timedelta:
        """Time between two attempts at a session that was not published."""
        return timedelta(minutes=self.retry_minutes)

    def clock(self) -> datetime:
        """The current instant in UTC, or the fixed one of ``SIGMASIGHT_NOW``."""
        return (self.now or datetime.now(UTC)).astimezone(UTC)


class Settings(CommonSettings):
    """Frozen settings of the pipeline and the command line."""

    home: Path = Field(Path(".sigmasight"), description="State directory: embedded database, logs, run state.")
    market: Literal["simulated", "files", "yahoo"] = Field("simulated", description="Where prices come from.")
    second_market: Literal["simulated", "files", "yahoo"] | None = Field(
        None, description="Market that serves when the first is down and that it is compared with; empty: none."
    )
    market_files: Path | None = Field(None, description="Directory of prices.parquet and constituents.csv.")
    market_rate: float | None = Field(
        None, gt=0.0, description="Calls a second allowed to the market source, of all processes; empty: no limit."
    )
    yahoo_rate: float = Field(2.0, gt=0.0, description="Calls a second allowed to Yahoo, of all processes.")
    yahoo_url: str = Field("", description="Address that all calls to Yahoo go to instead; empty: Yahoo's own.")
    polygon_key: str = Field(
        "",
        repr=False,
        validation_alias="POLYGON_API_KEY",
        description="Key for prices of options; empty: options have none.",
    )
    polygon_url: str = Field(
        "", validation_alias="POLYGON_BASE_URL", description="Address of Polygon's API; empty: Polygon's own."
    )
    polygon_rate: float = Field(
        5.0, gt=0.0, description="Calls a minute allowed to Polygon, of all processes; the free plan has 5."
    )
    vendor_timeout: float = Field(
        10.0, gt=0.0, le=300.0, description="Seconds after which a call to Yahoo or Polygon is given up."
    )
    history_start: date = Field(date(2020, 1, 2), description="No price before this date is asked for.")
    demo_symbols: int = Field(500, ge=50, le=10_000, description="Stocks of the simulated market.")
    min_coverage: float = Field(
        0.98, gt=0.0, le=1.0, description="Share of active symbols a session needs to be published."
    )
    portfolio_workers: int = Field(
        1, ge=1, le=64, description="Runs that compute the snapshots of a night or a range side by side."
    )
    webhook_url: str = Field(
        "", repr=False, description="Address that alerts are posted to as JSON; empty: they are only kept."
    )
    api_database_url: str = Field(
        "", repr=False, description="SQLAlchemy URL of the API's role on a server of your own; empty: database_url."
    )
    operator_database_url: str = Field(
        "", repr=False, description="SQLAlchemy URL of the role of operators' decisions there; empty: database_url."
    )
    dagster_config: Path | None = Field(
        None, description="Dagster's instance file, for runs on other machines; empty: the project's dagster.yaml."
    )
    broker_url: str = Field(
        "", repr=False, description="URL of the Redis that hands runs to workers; empty: there are no workers."
    )
    read_database_url: str = Field(
        "", repr=False, description="SQLAlchemy URL of a read replica for the API's role; empty: none."
    )
    api_port: Port = Field(8000, description="Port of the API on loopback.")
    api_processes: int = Field(1, ge=1, le=64, description="Processes of the API at that port; more than 1 on Linux.")
    api_url: str = Field(
        "",
        description="Address at which people reach the API and its pages, for links; empty: loopback and "
        "SIGMASIGHT_API_PORT.",
    )
    ui_port: Port = Field(3000, description="Port of the Dagster UI on loopback.")

    @property
    def api_address(self) -> str:
        """Where people reach the API and its pages, without a trailing slash."""
        return self.api_url or f"http://127.0.0.1:{self.api_port}"

    @field_validator("yahoo_url", "polygon_url", "api_url")
    @classmethod
    def _base_address(cls, value: str) -> str:
        """Without a trailing slash, to which paths are added."""
        return cls._web_address(value).rstrip("/")

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://")):
            raise ValueError("must be an address such as redis://:password@host:6379/0")
        return value

    @field_validator("api_url")
    @classmethod
    def _takes_paths(cls, value: str) -> str:
        if "?" in value or "#" in value:
            raise ValueError("must be an address that paths can be added to, without ? and #")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        """The token of a webhook is in its path or query."""
        problem = "must be an address such as https://host/path, without user and password"
        try:
            parts = urlsplit(value)
            is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError(problem) from None
        is_plain = value.isascii() and value.isprintable() and " " not in value and "@" not in parts.netloc
        if value and not (is_complete and is_plain):
            raise ValueError(problem)
        return value


def load_settings() -> Settings:
    """Read the settings; raise ``ConfigurationError`` that names each wrong variable."""
    settings = read_settings(Settings)
    for variable, market in (("MARKET", settings.market), ("SECOND_MARKET", settings.second_market)):
        if market == "files" and settings.market_files is None:
            raise ConfigurationError(
                f"{PREFIX}{variable}=files needs SIGMASIGHT_MARKET_FILES, a directory of prices.parquet and "
                "constituents.csv"
            )
    if settings.second_market == settings.market:
        raise ConfigurationError(
            f"SIGMASIGHT_SECOND_MARKET is {settings.market}, as SIGMASIGHT_MARKET is: name another market, or leave it "
            "empty"
        )
    return settings


def read_settings(kind: type[AnySettings]) -> AnySettings:
    """Settings of this kind from the environment; ``ConfigurationError`` names each wrong variable and its value.

    The value of a secret is left out.
    """
    try:
        return kind()
    except ValidationError as error:
        raise ConfigurationError("\n".join(["Wrong settings:", *map(_problem, error.errors())])) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f".env cannot be read: {error}; save it as UTF-8 text that you may read") from None


def _problem(item: ErrorDetails) -> str:
    """One line on a wrong value; that of a secret is not repeated."""
    name = str(item["loc"][0])
    hidden = name in SECRETS or item["type"] == "missing"
    variable = name if name.isupper() else f"{PREFIX}{name.upper()}"
    return f"{variable}: {item['msg']}" + ("" if hidden else f" (got {item['input']!r})")
