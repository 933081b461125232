"""The command in a terminal of its own: what people see, and what Ctrl-C does."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
MODULE = (sys.executable, "-m", "sigmasight_assets")
PATIENCE_SECONDS = 60.0


class Terminal:
    """A process whose standard streams are a terminal, and everything it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self.process = process
        self._end = end
        self.written = ""

    @property
    def text(self) -> str:
        """What was written, without the codes that colour it and move the cursor."""
        return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", self.written)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._end, keys.encode())

    def wait_for(self, pattern: str) -> str:
        """Read until the pattern is in the text; fails when it does not come, or the process ends before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.written
            assert self._read(0.2), self.written
        return self.text

    def wait(self) -> int:
        """The exit code; all that was written is read. Fails when the process does not end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read(0.2):
            assert time.monotonic() < deadline, self.written
        # Its end, or that it has left its terminal: then nothing is to be read, and looking again would only spin.
        try:
            code = self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(self.written) from None
        # It may have written between the last look and its end.
        while self._read(0.0):
            assert time.monotonic() < deadline, self.written
        return code

    def _read(self, seconds: float) -> bool:
        """Whether more may come."""
        ready, _, _ = select.select([self._end], [], [], seconds)
        if not ready:
            return self.process.poll() is None
        try:
            read = os.read(self._end, 65536)
        except OSError:
            # Linux says so of a terminal whose last user has gone.
            return False
        self.written += read.decode(errors="replace")
        return bool(read)


@contextlib.contextmanager
def terminal(
    *command: str, environment: Mapping[str, str], directory: Path, columns: int = 80, lines: int = 24
) -> Iterator[Terminal]:
    """Run a command in a terminal of this size; it is ended with the block."""
    end, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=other,
        stdout=other,
        stderr=other,
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "TERM": "xterm-256color", **environment},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(other)
    try:
        yield Terminal(process, end)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(end)
