"""How long the parts of a step took, for the operator who wonders why a night was slow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


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

    @property
    def rounded(self) -> dict[str, float]:
        """The seconds to the millisecond, as they are recorded."""
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}
