"""Settings of the API, read once from the environment and ``.env``.

Nothing else in the package reads environment variables.
"""

from pathlib import Path

from pydantic import Field, HttpUrl

from sigmasight_api.stress_schemas import LARGEST_RATES_BP
from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.settings import CommonSettings, read_settings


class Settings(CommonSettings):
    """Frozen settings; each field is the variable ``SIGMASIGHT_<NAME>``. The API starts no server of its own."""

    database_url: str = Field(repr=False, description="SQLAlchemy URL of the PostgreSQL server; required.")
    operator_database_url: str = Field(
        "", repr=False, description="The same with the role of operators' decisions; empty: database_url."
    )
    read_database_url: str = Field(
        "", repr=False, description="SQLAlchemy URL of a read replica of database_url; empty: none."
    )
    direct_database_url: str = Field(
        "",
        repr=False,
        description="The same past a pooler, where sessions are needed; empty: database_url.",
    )
    dagster_graphql: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:3000/graphql"), description="GraphQL address of the Dagster webserver."
    )
    ui_url: HttpUrl | None = Field(
        None, description="Address at which operators reach the Dagster UI, for links; empty: that of dagster_graphql."
    )
    scenarios: Path | None = Field(
        None, description="TOML file of stress scenarios beside the packaged ones (docs/scenarios.md)."
    )
    rates_duration: float = Field(
        16.5, gt=0.0, le=50.0, allow_inf_nan=False, description="Duration of TLT in stress tests, years."
    )
    rates_convexity: float = Field(
        370.0, ge=0.0, le=2000.0, allow_inf_nan=False, description="Convexity of TLT in stress tests, years squared."
    )

    @property
    def session_url(self) -> str:
        """Where notifications are heard and prepared statements kept: not behind a pooler of transactions."""
        return self.direct_database_url or self.database_url

    @property
    def orchestrator(self) -> str:
        """Address of the Dagster UI for people, without a slash at its end."""
        chosen = self.ui_url or str(self.dagster_graphql).removesuffix("/graphql")
        return str(chosen).rstrip("/")


def load_settings() -> Settings:
    """Read the settings; raise ``ConfigurationError`` that names each wrong variable."""
    try:
        settings = read_settings(Settings)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}\nThe URL of the embedded database is what `sigmasight db url` prints"
        ) from None
    # Past duration / convexity the approximation has a rise of yields raise the price.
    if settings.rates_convexity * LARGEST_RATES_BP * 1e-4 > settings.rates_duration:
        raise ConfigurationError(
            f"SIGMASIGHT_RATES_CONVEXITY ({settings.rates_convexity:g}) is too large for SIGMASIGHT_RATES_DURATION "
            f"({settings.rates_duration:g}): at most {1e4 / LARGEST_RATES_BP:g} times that, so that rising yields "
            f"cost up to {LARGEST_RATES_BP:g} basis points"
        )
    return settings
