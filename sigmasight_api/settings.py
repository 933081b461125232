"""Settings of the API, read once from the environment and ``.env``.

Nothing else in the package reads environment variables.
"""

from datetime import UTC, datetime

from pydantic import Field, HttpUrl, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sigmasight_assets.errors import ConfigurationError

PREFIX = "SIGMASIGHT_"


class Settings(BaseSettings):
    """Frozen settings; each field is the variable ``SIGMASIGHT_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    database_url: str = Field(description="SQLAlchemy URL of the PostgreSQL server; required.")
    dagster_graphql: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:3000/graphql"), description="GraphQL address of the Dagster webserver."
    )
    now: datetime | None = Field(None, description="A fixed clock for demos and tests, with its UTC offset.")

    @field_validator("now")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a UTC offset, such as 2025-07-31T22:00:00-04:00")
        return value

    @field_validator("database_url")
    @classmethod
    def _driver(cls, value: str) -> str:
        """SQLAlchemy reads a bare ``postgresql://`` as psycopg 3, which is not installed."""
        for prefix in ("postgresql://", "postgres://"):
            if value.startswith(prefix):
                return "postgresql+psycopg2://" + value.removeprefix(prefix)
        if not value.startswith("postgresql+psycopg2://"):
            raise ValueError("must start with postgresql:// or postgresql+psycopg2://; `sigmasight db url` prints it")
        return value

    def clock(self) -> datetime:
        """The current instant in UTC, or the fixed one of ``SIGMASIGHT_NOW``."""
        return (self.now or datetime.now(UTC)).astimezone(UTC)


def load_settings() -> Settings:
    """Read the settings; raise ``ConfigurationError`` that names each wrong variable.

    Values are left out of the message: a database URL holds a password.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{PREFIX}{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
        ]
        raise ConfigurationError("Wrong settings of the API:\n" + "\n".join(problems)) from None
