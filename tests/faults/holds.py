"""A worker's transactions held up, within a statement or within COMMIT, so that a fault can come exactly there."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sigmasight_assets.storage.database import Database
from tests.faults.night_world import TONIGHT
from tests.faults.nights import wait_for
from tests.orchestration.contents import execute, rows_of

# When the transaction waits: at its statement, or at its COMMIT.
When = Literal["IMMEDIATE", "DEFERRED"]
NUMBER = 990_001
# The transactions of a night that readers can see, in their order, each by a row that no other one writes.
TRANSACTIONS = (
    ("restatements", "true"),
    ("publications", f"NEW.session < '{TONIGHT}'"),
    ("publications", f"NEW.session = '{TONIGHT}'"),
)
TRIGGER = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_advisory_xact_lock_shared({number}); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON {table} DEFERRABLE INITIALLY {when}
  FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION hold();
"""
HELD = """
SELECT pid, query FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database() AND objid = :number
"""


@contextmanager
def held(database: Database, transaction: int, when: When) -> Iterator[None]:
    """Hold a transaction up until the block ends, or until the server does."""
    table, condition = TRANSACTIONS[transaction]
    execute(database, TRIGGER.format(number=NUMBER, table=table, when=when, condition=condition))
    with suppress(DBAPIError), database.engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:number)"), {"number": NUMBER})
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:number)"), {"number": NUMBER})
            connection.commit()


def wait_until_held(database: Database, when: When) -> int:
    """Until the transaction waits where it is held; the process of the server that it waits in."""
    wait_for(lambda: rows_of(database, HELD, number=NUMBER), "a transaction to be held")
    (row,) = rows_of(database, HELD, number=NUMBER)
    assert row["query"].upper().startswith("COMMIT") == (when == "DEFERRED"), row
    return int(row["pid"])
