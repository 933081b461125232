"""The files that are shipped for workers: the limits of the project, and what systemd and shells make of them."""

import subprocess
from pathlib import Path
from typing import Any

from dagster_shared.yaml_utils import load_yaml_from_path

from sigmasight_assets.orchestration.jobs import JOBS
from sigmasight_assets.services.stack import CHECKOUT
from sigmasight_assets.settings import PREFIX, Settings
from tests.celery.broker import SHIPPED
from tests.operations.test_units import read_by_a_shell
from tests.operator_files import program

UNIT = SHIPPED / "sigmasight-celery@.service"
# What is different where workers do the runs, and why, is in decision 14.
OWN = {"run_launcher"}
CHANGED = {"run_monitoring": {"start_timeout_seconds"}, "run_coordinator": {"config"}}


def instance(path: Path) -> dict[str, Any]:
    content = load_yaml_from_path(str(path))
    assert isinstance(content, dict)
    return content


def test_limits_are_those_of_the_project() -> None:
    ours, workers = instance(CHECKOUT / "dagster.yaml"), instance(SHIPPED / "dagster.yaml")
    assert set(workers) == set(ours) | OWN
    for section, settings in ours.items():
        changed = CHANGED.get(section, set())
        assert changed <= set(settings)
        same = {name: value for name, value in settings.items() if name not in changed}
        assert {name: value for name, value in workers[section].items() if name not in changed} == same, section
    queue = workers["run_coordinator"]["config"]
    assert queue | ours["run_coordinator"]["config"] == queue


def test_a_run_waits_for_a_worker_for_as_long_as_the_longest_may_last() -> None:
    longest = max(int((job.tags or {}).get("dagster/max_runtime", 0)) for job in JOBS)
    assert instance(SHIPPED / "dagster.yaml")["run_monitoring"]["start_timeout_seconds"] >= longest > 0


def test_no_secret_is_in_the_instance_file() -> None:
    config = instance(SHIPPED / "dagster.yaml")["run_launcher"]["config"]
    assert config["broker"] == config["backend"] == {"env": "SIGMASIGHT_BROKER_URL"}


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    unit = tmp_path / "sigmasight-celery@1.service"
    unit.write_text(UNIT.read_text().replace("/opt/sigmasight/.venv/bin/sigmasight", "/bin/true"))
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "sigmasight" in line] == []
    assert done.returncode == 0


def test_the_environment_file_holds_settings_alone(tmp_path: Path) -> None:
    found = read_by_a_shell((SHIPPED / "celery.env").read_text(), tmp_path)
    known = {str(field.validation_alias or f"{PREFIX}{name.upper()}") for name, field in Settings.model_fields.items()}
    assert {"SIGMASIGHT_DATABASE_URL", "SIGMASIGHT_BROKER_URL", "SIGMASIGHT_DAGSTER_CONFIG"} <= set(found) <= known
    assert found["SIGMASIGHT_DAGSTER_CONFIG"].endswith(str((SHIPPED / "dagster.yaml").relative_to(CHECKOUT)))
    assert Settings.model_validate({"broker_url": found["SIGMASIGHT_BROKER_URL"]}).broker_url
