"""Where commands write: results on standard output, progress, remarks and errors on standard error.

Colour is for terminals only. A reader that goes away (``| head``) ends what it reads, not the command.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from sigmasight_assets.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console


def result(text: str) -> None:
    """Write a line of what was asked for."""
    _write(sys.stdout, f"{text}\n")


def remark(text: str) -> None:
    """Write a line that people should know and that is no part of the result."""
    _write(sys.stderr, f"{text}\n")


def report(document: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    """Say what was done: in a sentence to people, as a document to programs."""
    if as_json:
        show_json(dict(document))
    else:
        result(sentence)


def show(rows: Sequence[Any], *, title: str, as_json: bool) -> None:
    """Print dataclasses or mappings as a table, or as JSON."""
    from dataclasses import asdict, is_dataclass

    plain = [asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row) for row in rows]
    if as_json:
        show_json({"items": plain, "total": len(plain)})
    elif not plain:
        result(f"{title}: none")
    else:
        _show_table(plain, title)


def show_json(value: Any) -> None:
    """Print a value as JSON; dates become ISO text, decimals become strings."""
    import json

    result(json.dumps(value, default=as_text, indent=2))


def as_text(value: Any) -> str:
    """A value as it is shown: dates as ISO text, decimals without an exponent."""
    from datetime import date, datetime
    from decimal import Decimal

    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def console(stream: IO[str] | None = None) -> "Console":
    """A console on the stream, standard output by default; names that look like markup are shown as they are.

    ``NO_COLOR`` and ``TERM=dumb`` take every style away, ``FORCE_COLOR`` gives them to a pipe too.
    """
    from rich.console import Console

    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Console(
        file=stream or sys.stdout,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=not is_terminal(stream or sys.stdout),
        color_system=None if is_plain else "auto",
    )


def show_on(output: "Console", draw: "Callable[[Console], None]") -> None:
    """Write what is drawn on a console of standard output, as a whole."""
    with output.capture() as drawn:
        draw(output)
    _write(sys.stdout, drawn.get())


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether people look at the stream, whatever colours are forced on it."""
    return stream is not None and not stream.closed and stream.isatty()


def is_live(stream: IO[str] | None) -> bool:
    """Whether lines of the stream can be written anew."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def patient_output() -> Iterator[None]:
    """Have the block end well although nobody reads its output any more."""
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            _write(stream, "")


def _show_table(rows: Sequence[dict[str, Any]], title: str) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else as_text(value) for value in row.values()))
    show_on(console(), lambda output: output.print(table))


def _write(stream: IO[str] | None, text: str) -> None:
    """Write at once, so that lines of both streams come in order; what nobody reads is dropped.

    Raises ``ServiceError`` when it cannot be written, as on a full disk.
    """
    # Python has no stream where the shell has closed it.
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _discard(stream)
    except OSError as error:
        _discard(stream)
        raise ServiceError(f"The output cannot be written: {error.strerror}") from None


def _discard(stream: IO[str]) -> None:
    """Send what the stream still holds, and all that is to come, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
