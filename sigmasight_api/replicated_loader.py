"""Market views from a read replica, and from the primary where that is away or too far behind.

A view never goes back to an older generation because the replica is behind what another database has told.
"""

from functools import partial

from sigmasight_api.loader import ViewLoader
from sigmasight_api.replica import FAILURES, OtherHistoryError, Replica
from sigmasight_api.view import MarketView
from sigmasight_assets.storage.database import Database

# Loading a whole view takes seconds of work, on a machine that is busy starting processes too.
VIEW_TIMES = 3.0


class ReplicatedLoader(ViewLoader):
    """Reads whole views from the replica first; views of some symbols, which requests wait for, from the primary."""

    def __init__(self, primary: Database, replica: Replica, *, patience_seconds: float) -> None:
        """A replica that is behind for longer than ``patience_seconds`` is not waited for."""
        super().__init__(primary)
        self._replica = replica
        self._of_replica = ViewLoader(replica.database)
        self._patience_seconds = patience_seconds
        self._is_behind = False

    @property
    def is_behind(self) -> bool:
        """Whether the last view that was loaded lacked something that the primary had."""
        return self._is_behind

    def load(self, *, previous: MarketView | None = None) -> MarketView:
        """The newest view that the replica has, or ``previous`` if that is newer.

        Of the primary when the replica is away, or behind for too long. Raises ``StorageError`` when the primary is
        away: without it nobody is answered.
        """
        newest = self.newest_generation()
        # Of a database that was restored from a backup the generations go back: then what was held is gone.
        held = previous if previous is not None and previous.generation <= newest else None
        view = self._from_replica(held, newest) if self._replica.is_tried else None
        if view is None:
            return self.load_newest(previous=held)
        self._is_behind = view.generation < newest
        return view

    def load_newest(self, *, previous: MarketView | None = None) -> MarketView:
        """The newest view, from the primary."""
        view = super().load(previous=previous)
        self._is_behind = False
        return view

    def _from_replica(self, held: MarketView | None, newest: int) -> MarketView | None:
        """The view to use; None when the primary has to be asked."""
        try:
            generation = self._replica.read_for_view(self._of_replica.newest_generation)
            view = held
            # Before the first view, answers are of the primary's generation: an older one would take them back.
            if generation >= newest if held is None else generation > held.generation:
                view = self._replica.read_for_view(partial(self._of_replica.load, previous=held), times=VIEW_TIMES)
                # Behind the address there may be several replicas, of which the second is older than the first.
                generation = view.generation
                if generation < (newest if held is None else held.generation):
                    view = held
        except FAILURES as error:
            self._replica.fail(error)
            return None
        if generation > newest:
            # As a rule it was published since the primary was asked.
            newest = self.newest_generation()
        if generation > newest:
            self._replica.fail(OtherHistoryError(generation, newest))
            return None
        self._replica.answer()
        behind = self._replica.compare(generation, newest)
        return view if behind <= self._patience_seconds else None
