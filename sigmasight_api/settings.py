"""Settings of the API, read once from the environment and ``.env``.

Nothing else in the package reads environment variables.
"""

from pydantic import Field, HttpUrl

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.settings import CommonSettings, read_settings


class Settings(CommonSettings):
    """Frozen settings; each field is the variable ``SIGMASIGHT_<NAME>``. The API starts no server of its own."""

    database_url: str = Field(repr=False, description="SQLAlchemy URL of the PostgreSQL server; required.")
    operator_database_url: str = Field(
        "", repr=False, description="The same with the role of operators' decisions; empty: database_url."
    )
    dagster_graphql: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:3000/graphql"), description="GraphQL address of the Dagster webserver."
    )


def load_settings() -> Settings:
    """Read the settings; raise ``ConfigurationError`` that names each wrong variable."""
    try:
        return read_settings(Settings)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}\nThe URL of the embedded database is what `sigmasight db url` prints"
        ) from None
