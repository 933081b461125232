"""What owners take away: positions and snapshots as CSV. Knows nothing of HTTP.

Everything is read before the first line is made, so that no slow reader holds a connection, and an error is an answer.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sigmasight_api.owned import read_own_book
from sigmasight_api.repository import Page
from sigmasight_api.schemas import Snapshot
from sigmasight_api.service import Reads
from sigmasight_api.transactions import Transactions
from sigmasight_assets.position_rules import cells_of
from sigmasight_assets.positions_file import positions_csv, quoted
from sigmasight_assets.storage.portfolios import read_lots

# More than there are sessions in the calendar.
ALL = Page(100_000, 0)
CHUNK_CHARACTERS = 65_536


class Exports:
    """Files of users' portfolios; ``NotFoundError`` for one that the user has not."""

    def __init__(self, transactions: Transactions, reads: Reads) -> None:
        self._transactions = transactions
        self._reads = reads

    def positions(self, user_id: int, portfolio_id: str) -> Iterator[str]:
        """All lots, open and closed, in the order they were entered: a file that can be imported again.

        Of the valuations of a PRIVATE lot it holds the newest.
        """
        with self._transactions.begin() as connection:
            lots = read_lots(connection, read_own_book(connection, user_id, portfolio_id).portfolio_id)
        return _chunks(positions_csv(map(cells_of, lots)))

    def snapshots(self, user_id: int, portfolio_id: str, *, promised: int | None = None) -> Iterator[str]:
        """All snapshots, oldest first, the columns those of ``Snapshot``; ``promised`` as in ``Reads.snapshots``."""
        found = self._reads.snapshots(user_id, portfolio_id, first=None, last=None, page=ALL, promised=promised)
        return _chunks(_snapshot_lines(found.items))


def _snapshot_lines(snapshots: Iterable[Snapshot]) -> Iterator[str]:
    yield ",".join(Snapshot.model_fields) + "\r\n"
    for snapshot in snapshots:
        yield ",".join(_cell(getattr(snapshot, name)) for name in Snapshot.model_fields) + "\r\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return quoted("; ".join(value)) if isinstance(value, list) else str(value)


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    """The lines, many at a time: each piece that is sent costs a change of threads."""
    waiting, size = [], 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= CHUNK_CHARACTERS:
            yield "".join(waiting)
            waiting, size = [], 0
    yield "".join(waiting)
