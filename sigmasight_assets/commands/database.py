"""``sigmasight db``: the embedded server and the schema."""

from typing import TYPE_CHECKING, Annotated

import typer

from sigmasight_assets.commands.common import Json, database_url, open_database, told_if_interrupted
from sigmasight_assets.commands.output import report, result, show_json
from sigmasight_assets.commands.progress import progress

if TYPE_CHECKING:
    from sigmasight_assets.services.postgres import EmbeddedPostgres
    from sigmasight_assets.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The embedded server and the schema.")

TELLS = "`sigmasight db status` tells where things are"


def _embedded(settings: "Settings") -> "EmbeddedPostgres":
    from sigmasight_assets.errors import ConfigurationError
    from sigmasight_assets.services.postgres import EmbeddedPostgres

    if settings.database_url:
        raise ConfigurationError(
            "SIGMASIGHT_DATABASE_URL names a server of your own: start and stop it yourself, or unset the variable"
        )
    return EmbeddedPostgres(settings.home)


@app.command()
def up() -> None:
    """Start the embedded PostgreSQL server."""
    from sigmasight_assets.settings import load_settings

    with told_if_interrupted(lambda: TELLS), progress() as shown:
        server = _embedded(load_settings())
        shown("starting PostgreSQL")
        server.start()
    result(f"PostgreSQL answers on port {server.status().port}")


@app.command()
def down() -> None:
    """Stop the embedded PostgreSQL server; its data stays."""
    from sigmasight_assets.errors import ServiceError
    from sigmasight_assets.services.run import run_process
    from sigmasight_assets.settings import load_settings

    settings = load_settings()
    server = _embedded(settings)
    holder = run_process(settings)
    if holder is not None:
        raise ServiceError(f"Process {holder} keeps everything of this home running: `sigmasight down` stops it all")
    with told_if_interrupted(lambda: TELLS), progress() as shown:
        shown("stopping PostgreSQL")
        server.stop()
    result("PostgreSQL is stopped")


@app.command()
def migrate(as_json: Json = False) -> None:
    """Bring the schema to the newest version."""
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage import schema

    unfinished = f"migrations that were begun are undone, those before them stay; {TELLS}"
    with told_if_interrupted(lambda: unfinished), progress(as_json=as_json) as shown:
        shown("migrating the schema")
        url = database_url(load_settings())
        revision = schema.migrate(url, progress=lambda done, total: shown.count("migrating", done, total, "versions"))
    report({"schema": revision}, f"The schema is at {revision}", as_json=as_json)


@app.command()
def roles() -> None:
    """Make the roles of the API on a server of your own, with new passwords, and print the settings for them."""
    import secrets

    from sqlalchemy.engine import make_url

    from sigmasight_assets.errors import ConfigurationError
    from sigmasight_assets.settings import PREFIX, load_settings
    from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE, ROLES, ensure_roles, set_password

    settings = load_settings()
    if not settings.database_url:
        raise ConfigurationError("The embedded server has them: `sigmasight up` makes and uses them by itself")
    url = make_url(settings.database_url)
    passwords = {role: secrets.token_urlsafe(32) for role in ROLES}
    with open_database(settings, see="db roles") as database, database.begin() as connection:
        for role, password in passwords.items():
            set_password(connection, role, password)
        ensure_roles(connection)
    for variable, role in (("API_DATABASE_URL", API_ROLE), ("OPERATOR_DATABASE_URL", OPERATOR_ROLE)):
        full = url.set(username=role, password=passwords[role]).render_as_string(hide_password=False)
        result(f"{PREFIX}{variable}={full}")


@app.command()
def status(as_json: Json = False) -> None:
    """Say whether the server answers and which schema it has."""
    from sigmasight_assets.services.postgres import EmbeddedPostgres
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage import schema
    from sigmasight_assets.storage.engine import create_engine, readable_errors

    settings = load_settings()
    found: dict[str, object] = {"embedded": not settings.database_url}
    if not settings.database_url:
        server = EmbeddedPostgres(settings.home).status()
        found |= {"running": server.running, "port": server.port}
    if settings.database_url or found["running"]:
        engine = create_engine(database_url(settings))
        with readable_errors(database_url(settings)):
            found["schema"] = schema.current_revision(engine)
        engine.dispose()
        found["newest_schema"] = schema.newest_revision()
    if as_json:
        show_json(found)
    else:
        for name, value in found.items():
            result(f"{name.replace('_', ' ')}: {value}")


@app.command()
def url(
    hide_password: Annotated[
        bool, typer.Option("--hide-password", help="Leave the password out, for showing to others.")
    ] = False,
) -> None:
    """Print the SQLAlchemy URL of the database."""
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.engine import without_password

    full = database_url(load_settings())
    result(without_password(full) if hide_password else full)
