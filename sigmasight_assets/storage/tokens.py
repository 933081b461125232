"""API tokens: made once, stored as hashes, looked up by hash."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.storage.book_tables import api_tokens, users

PREFIX = "sgm_"


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Who a valid token speaks for."""

    user_id: int
    user_name: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A stored token as lists show it; the token itself cannot be shown again."""

    token_id: int
    user_name: str
    is_admin: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def token_hash(token: str) -> bytes:
    """The SHA-256 under which a token is stored: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def ensure_user(connection: sa.Connection, name: str) -> int:
    """The number of the user of this name, created when new; known users need no right to write."""
    known = connection.execute(sa.select(users.c.user_id).where(users.c.name == name)).scalar()
    if known is not None:
        return int(known)
    statement = insert(users).values(name=name)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"name": statement.excluded.name})
    return int(connection.execute(statement.returning(users.c.user_id)).scalar_one())


def create_token(
    connection: sa.Connection, user: str, *, is_admin: bool = False, expires_at: datetime | None = None
) -> str:
    """Make a token for the user and return it; only its hash is stored."""
    token = PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        sa.insert(api_tokens).values(
            user_id=ensure_user(connection, user),
            token_hash=token_hash(token),
            is_admin=is_admin,
            expires_at=expires_at,
        )
    )
    return token


def find_holder(connection: sa.Connection, token: str, *, now: datetime) -> TokenHolder | None:
    """Who holds the token, or None when it is unknown, expired or revoked."""
    row = connection.execute(
        sa.select(users.c.user_id, users.c.name, api_tokens.c.is_admin)
        .join_from(api_tokens, users)
        .where(api_tokens.c.token_hash == token_hash(token), is_valid_at(sa.literal(now)))
    ).one_or_none()
    return None if row is None else TokenHolder(row.user_id, row.name, row.is_admin)


def is_valid_at(now: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Of a token: neither expired nor revoked."""
    tokens = api_tokens.c
    return sa.and_(tokens.revoked_at.is_(None), sa.or_(tokens.expires_at.is_(None), tokens.expires_at > now))


def read_tokens(connection: sa.Connection) -> list[TokenRecord]:
    """Every token ever made, oldest first."""
    rows = connection.execute(
        sa.select(
            api_tokens.c.token_id,
            users.c.name,
            api_tokens.c.is_admin,
            api_tokens.c.created_at,
            api_tokens.c.expires_at,
            api_tokens.c.revoked_at,
        )
        .join_from(api_tokens, users)
        .order_by(api_tokens.c.token_id)
    )
    return [TokenRecord(*row) for row in rows]


def revoke_token(connection: sa.Connection, token_id: int) -> None:
    """Refuse the token from now on; ``NotFoundError`` when there is none of this number."""
    result = connection.execute(
        sa.update(api_tokens)
        .where(api_tokens.c.token_id == token_id)
        .values(revoked_at=sa.func.coalesce(api_tokens.c.revoked_at, sa.func.now()))
    )
    if result.rowcount == 0:
        raise NotFoundError(f"There is no token {token_id}; `sigmasight token list` shows the numbers")
