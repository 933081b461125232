"""Whose turn it is to call a vendor: what a rate limit looks like to those who call."""

from collections.abc import Callable
from typing import Protocol


class Turns(Protocol):
    """One vendor's rate limit, shared by all that call it."""

    def wait(self) -> None:
        """Return when the next call may be made."""
        ...

    def slow_down(self, seconds: float) -> None:
        """Let nobody call before so many seconds have passed."""
        ...


class Unlimited:
    """Turns without a limit."""

    def wait(self) -> None:
        """At once."""

    def slow_down(self, seconds: float) -> None:
        """Nobody is held up."""


# The turns of a vendor by its name, which may be called so many times a second.
TurnsOf = Callable[[str, float], Turns]


def no_turns(vendor: str, rate: float) -> Turns:  # noqa: ARG001
    """For callers that ask once, by hand."""
    return Unlimited()
