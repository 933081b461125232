"""How long the parts of a step took, for the operator who wonders why a night was slow."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database


@dataclass
class PartTimes:
    """Seconds of each part by its name, summed over all times it was entered; parts do not overlap."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the block as one of this part, also when it raises."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    @contextmanager
    def transaction(self, database: Database, lock: Callable[[BulkTransaction], None]) -> Iterator[BulkTransaction]:
        """A transaction that takes its locks first; what it waits for at either end is counted."""
        with ExitStack() as stack:
            with self.part("waiting"):
                transaction = stack.enter_context(database.bulk())
                lock(transaction)
            yield transaction
            with self.part("committing"):
                stack.close()

    @property
    def rounded(self) -> dict[str, float]:
        """The seconds to the millisecond, as they are recorded."""
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}
