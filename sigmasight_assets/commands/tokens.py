"""``sigmasight token``: access to the API."""

from datetime import timedelta
from typing import Annotated

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, open_database, parse_name, show, show_json
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.tokens import create_token, read_tokens, revoke_token

app = typer.Typer(no_args_is_help=True, help="Access to the API.")


@app.command()
def create(
    user: Annotated[str, typer.Option(parser=parse_name, metavar="NAME", help="Holder; created when new.")],
    admin: Annotated[bool, typer.Option("--admin", help="Open the operators' routes to it.")] = False,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Refuse it after so many days; default: never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it once; only its hash is stored."""
    settings = load_settings()
    expires_at = settings.clock() + timedelta(days=days) if days else None
    with open_database(settings) as database, database.begin() as connection:
        token = create_token(connection, user, is_admin=admin, expires_at=expires_at)
    if as_json:
        show_json({"user": user, "is_admin": admin, "expires_at": expires_at, "token": token})
    else:
        typer.echo(token)


@app.command("list")
def list_tokens(as_json: Json = False) -> None:
    """Show every token's number, holder and state; the tokens themselves cannot be shown."""
    with open_database() as database, database.begin() as connection:
        show(read_tokens(connection), title="Tokens", as_json=as_json)


@app.command()
def revoke(token_id: Annotated[int, typer.Argument(help="Number from `token list`.")]) -> None:
    """Refuse a token from now on."""
    with open_database() as database, database.begin() as connection:
        revoke_token(connection, token_id)
    CONSOLE.print(f"Token {token_id} is revoked")
