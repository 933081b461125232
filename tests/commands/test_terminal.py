"""Tests of the tests' terminal: it waits for a process's end, neither for ever nor at a loss of processor time."""

import time
from pathlib import Path

import pytest

from tests.commands import terminal as module
from tests.commands.terminal import terminal


def test_a_process_that_does_not_end_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)
    for command in ("echo said; exec sleep 30", "echo said; exec sleep 30 <&- >&- 2>&-"):
        began = time.monotonic()
        with (
            terminal("sh", "-c", command, environment={}, directory=tmp_path) as shown,
            pytest.raises(AssertionError, match="said"),
        ):
            shown.wait()
        assert time.monotonic() - began < 10


def test_a_process_that_leaves_its_terminal_is_waited_for_in_peace(tmp_path: Path) -> None:
    began = time.process_time()
    with terminal(
        "sh", "-c", "echo said; exec <&- >&- 2>&-; sleep 2; exit 7", environment={}, directory=tmp_path
    ) as shown:
        assert shown.wait() == 7
    assert shown.text == "said\r\n"
    assert time.process_time() - began < 1


def test_what_is_written_last_is_read(tmp_path: Path) -> None:
    with terminal("sh", "-c", "seq 20000", environment={}, directory=tmp_path) as shown:
        assert shown.wait() == 0
    assert shown.text.endswith("19999\r\n20000\r\n")
