"""What snapshots of some sessions are made from, whether all of it is there, and how a range is cut into slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby

import sqlalchemy as sa

from sigmasight_assets.errors import NotReadyError
from sigmasight_assets.storage.decisions import read_waived
from sigmasight_assets.storage.publications import read_changed_symbols, read_symbol_generations
from sigmasight_assets.storage.snapshots import read_consumed


@dataclass(frozen=True)
class Inputs:
    """Sessions with their symbol ``generations``, and those that the snapshots of all sessions have ``consumed``.

    ``changed`` has the symbols that differ from what the snapshots of a session were computed from, where any does;
    None where these may be any. ``gaps`` are the sessions before these whose snapshots are missing.
    """

    generations: Mapping[date, int]
    consumed: Mapping[date, int]
    changed: Mapping[date, set[str] | None]
    gaps: Sequence[date]

    @property
    def sessions(self) -> list[date]:
        """The sessions, ascending."""
        return list(self.generations)

    @property
    def previous(self) -> date | None:
        """The last session before these that has snapshots."""
        return self.before(self.sessions[0])

    @property
    def changed_symbols(self) -> dict[date, set[str]] | None:
        """The same as ``changed``; None when any symbol may differ at a session, or one has no snapshots yet."""
        known = {day: symbols for day, symbols in self.changed.items() if symbols is not None}
        is_known = len(known) == len(self.changed) and self.consumed.keys() >= self.generations.keys()
        return known if is_known else None

    @property
    def in_doubt(self) -> "Inputs":
        """The same, as if any symbol might differ at every session."""
        return replace(self, changed=dict.fromkeys(self.generations))

    def before(self, day: date) -> date | None:
        """The last session before a day that has snapshots."""
        return max((other for other in self.consumed if other < day), default=None)

    def newest_after(self, day: date) -> date | None:
        """The newest session with snapshots, if it is later than the day: those build on the snapshots of the day."""
        newest = max(self.consumed, default=day)
        return newest if newest > day else None

    def require_earlier(self) -> None:
        """Raise ``NotReadyError`` when snapshots are missing that those of the first session build on."""
        if self.gaps:
            raise NotReadyError(
                f"Snapshots of {self.gaps[0]} come before those of {self.sessions[0]}: "
                f"the gate runs {self.gaps[0]} to {self.gaps[-1]} first"
            )


def read_inputs(connection: sa.Connection, sessions: Sequence[date]) -> Inputs:
    """The inputs of the sessions; ``NotReadyError`` when symbol products of one are missing."""
    published, consumed = read_symbol_generations(connection), read_consumed(connection)
    _require_published(sessions, published)
    seen = {day: consumed[day] for day in sessions if day in consumed}
    # Snapshots build on each other from the first one that exists.
    earlier = [day for day in published if day < sessions[0] and consumed and day >= min(consumed)]
    return Inputs(
        generations={day: published[day] for day in sessions},
        consumed=consumed,
        changed=read_changed_symbols(connection, seen),
        gaps=[day for day in earlier if day not in consumed],
    )


def without_waived(connection: sa.Connection, sessions: Sequence[date]) -> tuple[list[date], list[date]]:
    """The sessions that snapshots can be made of, and those that are waived: later ones span them.

    A session that was waived and is published after all counts. Raises ``NotReadyError`` when symbol products of any
    other are missing.
    """
    published, waived = read_symbol_generations(connection), read_waived(connection)
    spanned = [day for day in sessions if day in waived and day not in published]
    left = [day for day in sessions if day not in spanned]
    _require_published(left, published)
    return left, spanned


def _require_published(sessions: Sequence[date], published: Mapping[date, int]) -> None:
    missing = [str(day) for day in sessions if day not in published]
    if missing:
        raise NotReadyError(
            f"The symbol products of {', '.join(missing)} are not published: materialise them first (job symbol_layer)"
        )


def parts(sessions: Sequence[date], consumed: Mapping[date, int]) -> list[list[date]]:
    """The sessions in order, cut where those that have snapshots meet those that have none.

    Of the former only what changed is computed, of the latter everything.
    """
    return [list(group) for _, group in groupby(sessions, key=lambda day: day in consumed)]
