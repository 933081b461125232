"""How answers are made at the moment: the three modes and what is said of them."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["loading", "cache", "db_fallback"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """The mode; ``reason`` says what is not as it should be, without naming hosts or statements."""

    mode: Mode
    reason: str | None = None
