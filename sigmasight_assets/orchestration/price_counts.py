"""What a price update leaves to those who report it: counts, and what the source said of symbols not in order."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from sigmasight_assets.market_data.protocol import Outcome
from sigmasight_assets.orchestration.cross_check import CrossCheck
from sigmasight_assets.orchestration.price_answers import Answer
from sigmasight_assets.orchestration.price_requests import PricePlan
from sigmasight_assets.orchestration.second_answers import served_reasons
from sigmasight_assets.storage.actions import ActionChange
from sigmasight_assets.storage.prices import PriceWrite


@dataclass
class PriceUpdate:
    """Counts of one update, and the vendor's answer for each symbol that is not in order.

    ``silent`` are the symbols that the vendor neither refused nor sent a bar of, ``failed`` those among them whose last
    call brought no answer, and ``repeated`` counts those that were asked for again in the same run for that.
    ``served`` has the symbols that the second market answered for with what the first failed of, ``taken_over`` counts
    bars of the second that the first has replaced, and ``check`` is the comparison of the two, None without a second
    market. ``notes`` are what the source put right by itself of symbols that are in order.
    """

    requested: int = 0
    repeated: int = 0
    skipped: int = 0
    already_there: int = 0
    inserted: int = 0
    restated: int = 0
    rescaled: int = 0
    refetched: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    action_problems: list[tuple[str, str]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    delisted: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    marked: set[str] = field(default_factory=set)
    changed_symbols: int = 0
    restated_sessions: set[date] = field(default_factory=set)
    served: dict[str, str] = field(default_factory=dict)
    taken_over: int = 0
    check: CrossCheck | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, write: PriceWrite, changes: Sequence[ActionChange], marks: pa.Table) -> None:
        """Count what one answer changed."""
        self.inserted += write.inserted
        self.restated += write.restated
        self.rescaled += write.rescaled
        self.already_there += write.unchanged
        self.taken_over += write.taken_over
        self.changed_symbols += len(write.symbols)
        self.restated_sessions.update(write.restated_sessions)
        self.actions.update(item.sort for item in changes)
        self.marked.update(marks.column("symbol").to_pylist())

    def add_plan(self, plan: PricePlan, *, symbols: int) -> None:
        """Count what is asked for of so many symbols."""
        self.requested += len(plan.requests)
        self.skipped += symbols - len(plan.requests)
        self.problems.update(plan.refused)

    def add_answers(self, answer: Answer, stored: Sequence[Answer], *, second: Collection[str]) -> None:
        """Count what is not in order of the answer as it came and of those that were ``stored`` for it.

        What is rejected of a history that was fetched again was so in the first answer.
        """
        self.rejected.update(answer.bars.counts)
        for each in stored:
            self.problems.update(each.problems)
            self.delisted.update(each.delisted)
            self.silent.update(each.silent)
            self.failed.update(each.failed)
            self.notes.update(_notes(each, second))
        told = [*answer.actions.problems, *(problem for each in stored[1:] for problem in each.actions.problems)]
        self.action_problems += dict.fromkeys(told)
        self.refetched += sum(len(each.requests) for each in stored[1:])
        self.served |= served_reasons(answer, second)

    def forget_failures(self) -> None:
        """Leave the symbols whose calls failed to their second answer."""
        self.repeated = len(self.failed)
        self.requested -= len(self.failed)
        for symbol in self.failed:
            self.problems.pop(symbol, None)
        self.silent -= self.failed
        self.failed.clear()


def _notes(answer: Answer, second: Collection[str]) -> dict[str, str]:
    """The details of what came well; of what the second market served they are told elsewhere."""
    served = answer.served_by(second)
    return {
        symbol: answer.outcomes[symbol].detail
        for symbol in answer.requests
        if symbol not in served and answer.outcomes[symbol].outcome is Outcome.OK and answer.outcomes[symbol].detail
    }
