"""``sigmasight token``: access to the API."""

from datetime import timedelta
from typing import Annotated

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.common import Json, open_database, parse_name
from sigmasight_assets.commands.output import report, show

app = typer.Typer(no_args_is_help=True, help="Access to the API.")


@app.command()
def create(
    user: Annotated[
        str,
        typer.Option(
            parser=parse_name, metavar="NAME", help="Holder; created when new.", autocompletion=completion.users
        ),
    ],
    admin: Annotated[bool, typer.Option("--admin", help="Open the operators' routes to it.")] = False,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Refuse it after so many days; default: never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it once; only its hash is stored."""
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.tokens import create_token

    settings = load_settings()
    expires_at = settings.clock() + timedelta(days=days) if days else None
    with open_database(settings, see="token list") as database, database.begin() as connection:
        token = create_token(connection, user, is_admin=admin, expires_at=expires_at)
    report({"user": user, "is_admin": admin, "expires_at": expires_at, "token": token}, token, as_json=as_json)


@app.command("list")
def list_tokens(as_json: Json = False) -> None:
    """Show every token's number, holder and state; the tokens themselves cannot be shown."""
    from sigmasight_assets.storage.tokens import read_tokens

    with open_database() as database, database.begin() as connection:
        show(read_tokens(connection), title="Tokens", as_json=as_json)


@app.command()
def revoke(
    token_id: Annotated[int, typer.Argument(help="Number from `token list`.", autocompletion=completion.tokens)],
    as_json: Json = False,
) -> None:
    """Refuse a token from now on."""
    from sigmasight_assets.storage.tokens import revoke_token

    with open_database(see="token list") as database, database.begin() as connection:
        revoke_token(connection, token_id)
    report({"token_id": token_id, "revoked": True}, f"Token {token_id} is revoked", as_json=as_json)
