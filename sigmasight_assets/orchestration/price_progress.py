"""Tells the operator how long a fetch will take, and how far it has come, in the log of the run."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sigmasight_assets.durations import duration
from sigmasight_assets.orchestration.vendor_access import MeteredMarket

EVERY_SECONDS = 30.0


@dataclass
class PriceProgress:
    """Says first what is asked for and how long that takes at the rate allowed, then now and then how far it is.

    ``say`` writes a line to the log.
    """

    market: MeteredMarket
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _began: float = field(default=0.0, init=False)
    _said: float = field(default=0.0, init=False)

    def __call__(self, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` symbols have been asked for."""
        now = self.clock()
        if done == 0:
            self._began = self._said = now
            if total:
                self.say(f"Asking {self.market.name} for {total:,} symbols{self._expected(total)}")
        elif now - self._said >= EVERY_SECONDS and done < total:
            self._said = now
            left = (now - self._began) / done * (total - done)
            self.say(f"{done:,} of {total:,} symbols asked for and stored; about {duration(left)} left")

    def _expected(self, symbols: int) -> str:
        rate = self.market.calls_per_second
        if rate is None:
            return ""
        calls = -(-symbols // self.market.symbols_per_call)
        return f" at {rate:g} calls a second: at least {duration(calls / rate)}"
