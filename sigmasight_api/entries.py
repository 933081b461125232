"""What owners enter, as lots: from JSON and from files, by the same rules, every problem named."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from sigmasight_api.errors import RejectedError
from sigmasight_api.write_schemas import LineProblem, NewPosition
from sigmasight_assets.errors import ImportFileError
from sigmasight_assets.position_rules import LARGEST_AMOUNT, lot_amount, lot_of, lot_problems
from sigmasight_assets.positions_file import parse_positions
from sigmasight_assets.storage.portfolios import NewLot

LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)
# More help nobody: in the report of a dry run, and in a refusal.
REPORTED_PROBLEMS = 1_000
NAMED_PROBLEMS = 100


def lots_entered(positions: Sequence[NewPosition], *, today: date, within: tuple[str, ...]) -> list[NewLot]:
    """The lots; ``RejectedError`` names each that is wrong, below the place ``within`` of the body."""
    found = [(place, problem) for place, item in enumerate(positions) for problem in _problems(item, today)]
    if found:
        errors = [((*within, str(place)), problem) for place, problem in found[:NAMED_PROBLEMS]]
        raise RejectedError(errors, total=len(found))
    lots = [lot_of(_cells(item)) for item in positions]
    if sum(map(lot_amount, lots), Decimal(0)) > LARGEST_AMOUNT:
        raise RejectedError([(within, f"the positions come to more than {LARGEST_AMOUNT:,} USD")])
    return lots


def lot_entered(position: NewPosition, *, today: date) -> NewLot:
    """A single lot; ``RejectedError`` names what is wrong with it."""
    problems = _problems(position, today)
    if problems:
        raise RejectedError([(("body",), problem) for problem in problems])
    return lot_of(_cells(position))


def lots_in_file(content: bytes, *, today: date) -> list[NewLot]:
    """The lots of a positions file; ``RejectedError`` names each wrong line."""
    try:
        return parse_positions(content, today=today)
    except ImportFileError as error:
        found = list(line_problems(error))
        errors = [(("body", *_line_name(item)), item.message) for item in found[:NAMED_PROBLEMS]]
        raise RejectedError(errors, total=len(found)) from None


def line_problems(error: ImportFileError) -> Iterator[LineProblem]:
    """The problems of a file, each with its line where it has one."""
    for problem in error.problems:
        named = LINE.fullmatch(problem)
        yield LineProblem(line=int(named.group(1)) if named else None, message=named.group(2) if named else problem)


def _line_name(problem: LineProblem) -> tuple[str, ...]:
    return () if problem.line is None else (f"line {problem.line}",)


def _problems(position: NewPosition, today: date) -> list[str]:
    return lot_problems(_cells(position), today=today)


def _cells(position: NewPosition) -> dict[str, str]:
    values = {name: getattr(position, name) for name in NewPosition.model_fields}
    return {name: str(value).strip() for name, value in values.items() if value is not None}
