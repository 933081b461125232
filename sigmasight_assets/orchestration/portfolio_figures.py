"""The published figures that snapshots are computed from, read once for several chunks of portfolios."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.holders import read_priced_names
from sigmasight_assets.storage.published import read_published_figures


class PublishedFigures:
    """Published closes and betas of the sessions and of those that they are carried from.

    Several chunks share one reading of everything that any portfolio holds; a single one reads what it needs.
    ``rows`` (T,) are the positions of the sessions.
    """

    def __init__(
        self, transaction: BulkTransaction, calendar: SessionCalendar, sessions: Sequence[date], *, is_read_once: bool
    ) -> None:
        positions = np.array([calendar.index(day) for day in sessions])
        start = max(0, int(positions[0]) - CARRIED_SESSIONS)
        self.rows: IntArray = positions - start
        self._transaction = transaction
        self._sessions = calendar.sessions[start : int(positions[-1]) + 1]
        self._shared = self._read(tuple(read_priced_names(transaction))) if is_read_once else None

    def of(self, symbols: tuple[str, ...]) -> tuple[Grid, IntArray, FloatArray]:
        """Grid (N, S), closes (N, S) and betas (N, S, 13) of the symbols."""
        if self._shared is None:
            return self._read(symbols)
        grid, closes, betas = self._shared
        places = {name: place for place, name in enumerate(grid.symbols)}
        # A lot may have been entered after they were read.
        if not places.keys() >= set(symbols):
            return self._read(symbols)
        columns = np.array([places[name] for name in symbols], dtype=np.int64)
        return Grid(grid.sessions, symbols), closes[:, columns], betas[:, columns]

    def _read(self, symbols: tuple[str, ...]) -> tuple[Grid, IntArray, FloatArray]:
        grid = Grid(self._sessions, symbols)
        return (grid, *read_published_figures(self._transaction, grid))
