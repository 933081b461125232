"""How often a vendor is asked the same again, with what pauses, and when it counts as down.

One ``Patience`` goes with one source of one process. Pauses hold for all processes: they are kept where turns are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.vendor_calls import CallRules, Failure, VendorCallError

Answer = TypeVar("Answer")


@dataclass
class Patience:
    """Asks again within limits, pauses in seconds.

    A call that is refused for its rate is made ``limited_attempts`` times, each after twice the pause of the one before
    or after what the vendor asks for. Any other failure gets ``failed_attempts``. After ``failures_in_a_row`` calls
    whose last attempt failed, whatever symbols they were about, the vendor counts as down.
    """

    vendor: str
    rules: CallRules
    limited_attempts: int = 4
    failed_attempts: int = 2
    failures_in_a_row: int = 10
    first_pause: float = 2.0
    longest_pause: float = 60.0
    _failed: int = 0

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """The answer of the call.

        Raises ``VendorCallError`` when this call brought none, ``RateLimitedError`` when the vendor wants fewer calls
        still, ``MarketSetupError`` when it refuses access, and ``MarketDataError`` when it is down.
        """
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
            self._failed = 0
            return answer

    def _wait_for(self, error: VendorCallError, pause: float, *, attempt: int) -> None:
        asked = error.retry_after or 0.0
        pause = max(pause, asked)
        # The pause holds for the others also when this caller gives up.
        self.rules.turns.slow_down(min(pause, self.longest_pause))
        if attempt >= self.limited_attempts or pause > self.longest_pause:
            raise RateLimitedError(f"{self.vendor}: {error}", retry_after=error.retry_after) from None

    def _count(self, error: VendorCallError) -> None:
        self._failed += 1
        if self._failed >= self.failures_in_a_row:
            calls, self._failed = self._failed, 0
            raise MarketDataError(
                f"{self.vendor} is down: {calls} calls in a row failed, the last one: {error}"
            ) from None
