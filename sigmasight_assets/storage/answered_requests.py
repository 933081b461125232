"""Writes that clients gave a name: one that is repeated because its answer was lost is answered, not done again."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.errors import NameTakenError
from sigmasight_assets.storage.book_tables import answered_requests

KEPT = timedelta(hours=24)

REQUESTS = answered_requests.c


def claim_request(connection: sa.Connection, *, user_id: int, key: str, request_hash: bytes) -> str | None:
    """The answer to the user's request of this name, None when it is new and this transaction is to answer it.

    Waits while another transaction answers it. Names older than ``KEPT`` are forgotten. Raises ``NameTakenError`` when
    the name was that of a different request.
    """
    connection.execute(
        sa.delete(answered_requests).where(REQUESTS.user_id == user_id, REQUESTS.answered_at < sa.func.now() - KEPT)
    )
    values = {"user_id": user_id, "request_key": key, "request_hash": request_hash}
    statement = insert(answered_requests).values(values).on_conflict_do_nothing().returning(REQUESTS.user_id)
    if connection.execute(statement).first() is not None:
        return None
    known = connection.execute(
        sa.select(REQUESTS.request_hash, REQUESTS.answer).where(
            REQUESTS.user_id == user_id, REQUESTS.request_key == key
        )
    ).one()
    if bytes(known.request_hash) != request_hash:
        raise NameTakenError(f"The key {key!r} was used for a different request; choose another")
    return str(known.answer)


def record_answer(connection: sa.Connection, *, user_id: int, key: str, answer: str) -> None:
    """Keep the answer, a JSON document, to a request that this transaction has claimed."""
    connection.execute(
        sa.update(answered_requests)
        .where(REQUESTS.user_id == user_id, REQUESTS.request_key == key)
        .values(answer=answer)
    )
