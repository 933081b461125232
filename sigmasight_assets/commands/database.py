"""``sigmasight db``: the embedded server and the schema."""

import secrets

import typer
from sqlalchemy.engine import make_url

from sigmasight_assets.commands.common import CONSOLE, Json, database_url, open_database, show_json
from sigmasight_assets.errors import ConfigurationError, ServiceError
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.run import run_process
from sigmasight_assets.settings import PREFIX, Settings, load_settings
from sigmasight_assets.storage import schema
from sigmasight_assets.storage.engine import create_engine, readable_errors, without_password
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE, ROLES, ensure_roles, set_password

app = typer.Typer(no_args_is_help=True, help="The embedded server and the schema.")


def _embedded(settings: Settings) -> EmbeddedPostgres:
    if settings.database_url:
        raise ConfigurationError(
            "SIGMASIGHT_DATABASE_URL names a server of your own: start and stop it yourself, or unset the variable"
        )
    return EmbeddedPostgres(settings.home)


@app.command()
def up() -> None:
    """Start the embedded PostgreSQL server."""
    server = _embedded(load_settings())
    server.start()
    CONSOLE.print(f"PostgreSQL answers on port {server.status().port}")


@app.command()
def down() -> None:
    """Stop the embedded PostgreSQL server; its data stays."""
    settings = load_settings()
    server = _embedded(settings)
    holder = run_process(settings)
    if holder is not None:
        raise ServiceError(f"Process {holder} keeps everything of this home running: `sigmasight down` stops it all")
    server.stop()
    CONSOLE.print("PostgreSQL is stopped")


@app.command()
def migrate() -> None:
    """Bring the schema to the newest version."""
    CONSOLE.print(f"The schema is at {schema.migrate(database_url(load_settings()))}")


@app.command()
def roles() -> None:
    """Make the roles of the API on a server of your own, with new passwords, and print the settings for them."""
    settings = load_settings()
    if not settings.database_url:
        raise ConfigurationError("The embedded server has them: `sigmasight up` makes and uses them by itself")
    url = make_url(settings.database_url)
    passwords = {role: secrets.token_urlsafe(32) for role in ROLES}
    with open_database(settings) as database, database.begin() as connection:
        for role, password in passwords.items():
            set_password(connection, role, password)
        ensure_roles(connection)
    for variable, role in (("API_DATABASE_URL", API_ROLE), ("OPERATOR_DATABASE_URL", OPERATOR_ROLE)):
        full = url.set(username=role, password=passwords[role]).render_as_string(hide_password=False)
        typer.echo(f"{PREFIX}{variable}={full}")


@app.command()
def status(as_json: Json = False) -> None:
    """Say whether the server answers and which schema it has."""
    settings = load_settings()
    report: dict[str, object] = {"embedded": not settings.database_url}
    if not settings.database_url:
        server = EmbeddedPostgres(settings.home).status()
        report |= {"running": server.running, "port": server.port}
    if settings.database_url or report["running"]:
        engine = create_engine(database_url(settings))
        with readable_errors(database_url(settings)):
            report["schema"] = schema.current_revision(engine)
        engine.dispose()
        report["newest_schema"] = schema.newest_revision()
    if as_json:
        show_json(report)
    else:
        for name, value in report.items():
            CONSOLE.print(f"{name.replace('_', ' ')}: {value}")


@app.command()
def url(
    *, hide_password: bool = typer.Option(default=False, help="Leave the password out, for showing to others.")
) -> None:
    """Print the SQLAlchemy URL of the database."""
    full = database_url(load_settings())
    typer.echo(without_password(full) if hide_password else full)
