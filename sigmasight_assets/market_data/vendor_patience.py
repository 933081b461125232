"""How often a vendor is asked the same again, with what pauses, and when it counts as down.

One ``Patience`` goes with one source of one process. Pauses hold for all processes: they are kept where turns are.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.vendor_calls import CallRules, Failure, VendorCallError

Answer = TypeVar("Answer")


@dataclass
class Patience:
    """Asks again within limits, pauses in seconds.

    A call that is refused for its rate is made ``limited_attempts`` times, each after twice the pause of the one before
    or after what the vendor asks for. Any other failure gets ``failed_attempts``. After ``failures_in_a_row`` calls
    whose last attempt failed, whatever symbols they were about, the vendor counts as down. A vendor that is down, or
    wants fewer calls still, is left alone for ``rest``: who asks meanwhile is told so at once, the next call after it
    tells whether the vendor is back.
    """

    vendor: str
    rules: CallRules
    limited_attempts: int = 4
    failed_attempts: int = 2
    failures_in_a_row: int = 10
    first_pause: float = 2.0
    longest_pause: float = 60.0
    rest: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _failed: int = field(default=0, init=False)
    _rests_until: float = field(default=-math.inf, init=False)
    _gave_up: MarketDataError | None = field(default=None, init=False)

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """The answer of the call.

        Raises ``VendorCallError`` when this call brought none, ``RateLimitedError`` when the vendor wants fewer calls
        still, ``MarketSetupError`` when it refuses access, and ``MarketDataError`` when it is down.
        """
        if self._gave_up is not None and self.clock() < self._rests_until:
            raise self._gave_up
        limited, failed, pause = 0, 0, self.first_pause
        while True:
            try:
                answer = call()
            except VendorCallError as error:
                if error.failure is Failure.REFUSED:
                    raise MarketSetupError(
                        f"{self.vendor}: {error.detail}; check its key and what it permits"
                    ) from None
                if error.failure is Failure.RATE_LIMITED:
                    limited += 1
                    self._wait_for(error, pause, attempt=limited)
                    pause = min(2 * pause, self.longest_pause)
                    continue
                failed += 1
                if failed >= self.failed_attempts:
                    self._count(error)
                    raise
                continue
            self._failed, self._gave_up = 0, None
            return answer

    def _wait_for(self, error: VendorCallError, pause: float, *, attempt: int) -> None:
        asked = error.retry_after or 0.0
        pause = max(pause, asked)
        # The pause holds for the others also when this caller gives up.
        self.rules.turns.slow_down(min(pause, self.longest_pause))
        if attempt >= self.limited_attempts or pause > self.longest_pause:
            self._give_up(RateLimitedError(f"{self.vendor}: {error}", retry_after=error.retry_after))

    def _count(self, error: VendorCallError) -> None:
        self._failed += 1
        # After a rest a single call decides.
        if self._failed >= self.failures_in_a_row or self._gave_up is not None:
            words = f"{self._failed} calls in a row failed" if self._gave_up is None else "it still does not answer"
            self._give_up(MarketDataError(f"{self.vendor} is down: {words}, the last one: {error}"))

    def _give_up(self, error: MarketDataError) -> NoReturn:
        self._failed, self._gave_up, self._rests_until = 0, error, self.clock() + self.rest
        raise error from None
