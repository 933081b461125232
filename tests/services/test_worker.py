"""What a worker is started with: its instance file, its environment, and no secret on its command line."""

from pathlib import Path

import pytest

from sigmasight_assets.errors import ConfigurationError, ServiceError
from sigmasight_assets.services.stack import CHECKOUT, write_instance_settings
from sigmasight_assets.services.worker import prepare_worker
from sigmasight_assets.settings import Settings

PASSWORD = "correct-horse"
DATABASE = f"postgresql+psycopg2://user:{PASSWORD}@db.example/name"
BROKER = f"redis://:{PASSWORD}@broker.example:6379/0"
INSTANCE = CHECKOUT / "docs" / "deployment" / "celery" / "dagster.yaml"


def settings(home: Path, *, instance: Path | None = INSTANCE) -> Settings:
    return Settings(home=home, database_url=DATABASE, broker_url=BROKER, dagster_config=instance)


def test_everything_is_in_its_environment(tmp_path: Path) -> None:
    command, environment = prepare_worker(settings(tmp_path / "home"), "one")
    assert PASSWORD not in " ".join(command)
    assert "one@%h" in command
    assert environment["SIGMASIGHT_DATABASE_URL"] == DATABASE
    assert environment["SIGMASIGHT_BROKER_URL"] == BROKER
    assert environment["DAGSTER_HOME"] == str(tmp_path / "home" / "dagster")
    assert (environment["OPENBLAS_NUM_THREADS"], environment["DAGSTER_EVENT_BATCH_SIZE"]) == ("1", "100")
    assert (tmp_path / "home" / "dagster" / "dagster.yaml").read_text() == INSTANCE.read_text()


@pytest.mark.parametrize(
    ("wanting", "named"),
    [
        ({"database_url": ""}, "SIGMASIGHT_DATABASE_URL: the database"),
        ({"broker_url": ""}, "SIGMASIGHT_BROKER_URL: the Redis"),
        ({"dagster_config": None}, "SIGMASIGHT_DAGSTER_CONFIG: an instance file"),
    ],
)
def test_what_it_cannot_do_without_is_named(tmp_path: Path, wanting: dict[str, str | None], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        prepare_worker(settings(tmp_path).model_copy(update=wanting), "one")
    assert len(str(caught.value).splitlines()) == 2
    assert PASSWORD not in str(caught.value)


def test_an_instance_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone.yaml"
    with pytest.raises(ServiceError, match=rf"SIGMASIGHT_DAGSTER_CONFIG: {gone} cannot be read: No such file"):
        prepare_worker(settings(tmp_path / "home", instance=gone), "one")


def test_without_the_setting_the_projects_own_is_taken(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    write_instance_settings(settings(tmp_path, instance=None))
    assert (tmp_path / "dagster" / "dagster.yaml").read_text() == (CHECKOUT / "dagster.yaml").read_text()


def test_an_instance_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_bytes("telemetry: zürich".encode("cp1252"))
    with pytest.raises(
        ServiceError, match=r"SIGMASIGHT_DAGSTER_CONFIG: .*odd\.yaml cannot be read: it is no UTF-8 text"
    ):
        write_instance_settings(settings(tmp_path, instance=tmp_path / "odd.yaml"))
