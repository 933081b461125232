"""``sigmasight worker`` where it cannot start; ``tests/celery`` has those that do."""

from pathlib import Path

import pytest

from tests.celery.broker import SHIPPED
from tests.commands.conftest import Sigmasight

BROKER = "redis://:s3cret@127.0.0.1:9/0"


def test_without_a_broker_it_says_what_it_needs(sigmasight: Sigmasight) -> None:
    outcome = sigmasight("worker")
    assert outcome.code == 1
    assert outcome.err.startswith("error: A worker needs\nSIGMASIGHT_BROKER_URL: the Redis")
    assert "SIGMASIGHT_DAGSTER_CONFIG: an instance file" in outcome.err


def test_a_wrong_address_of_the_broker_is_named(sigmasight: Sigmasight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_BROKER_URL", "amqp://me:s3cret@127.0.0.1/")
    outcome = sigmasight("worker")
    assert (outcome.code, outcome.out) == (1, "")
    assert "SIGMASIGHT_BROKER_URL: Value error, must be an address such as redis://:password@host:6379/0" in outcome.err
    assert "s3cret" not in outcome.err


def test_an_instance_file_that_is_not_there_is_named(
    sigmasight: Sigmasight, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SIGMASIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIGMASIGHT_BROKER_URL", BROKER)
    monkeypatch.setenv("SIGMASIGHT_DAGSTER_CONFIG", str(SHIPPED / "dagster.yml"))
    outcome = sigmasight("worker")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: SIGMASIGHT_DAGSTER_CONFIG: {SHIPPED / 'dagster.yml'} cannot be read")
