"""The browser: where it is, and how it is started so that it asks nobody but the page's own host."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
)


def installed_chromium() -> Path | None:
    """The program, if there is one."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    return None if found is None else Path(found)


def find_chromium() -> Path:
    """The program; without one tests are skipped, and fail in CI, where ``.ci/run`` installs it."""
    found = installed_chromium()
    if found is None:
        reason = f"none of {', '.join(PROGRAMS)} is on PATH (Debian: apt install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def launch(playwright: Playwright, program: Path) -> Browser:
    """A headless browser with a new, empty profile; root has no sandbox."""
    # Ctrl-C is for the tests: they close the browser, and its driver would do so before them.
    return playwright.chromium.launch(
        executable_path=program,
        args=list(ARGUMENTS),
        chromium_sandbox=os.geteuid() != 0,
        handle_sigint=False,
        handle_sigterm=False,
        handle_sighup=False,
    )
