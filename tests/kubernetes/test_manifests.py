"""The manifests are valid by Kubernetes' own schemas, and their containers start and do what they are there for."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]
from sqlalchemy import text

from sigmasight_api.settings import Settings as ApiSettings
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.settings import PREFIX, Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE, is_restricted, set_password
from sigmasight_assets.storage.schema import current_revision, newest_revision
from tests.conftest import ROLE_PASSWORD
from tests.documents import ROOT
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import FILES, IMAGE, manifests, until
from tests.kubernetes.test_instance import DAEMON, LAUNCHER, VALUES

# The oldest with schemas, and the newest.
VERSIONS = ("1.25", kubernetes_validate.latest_version())
OF_CHART = ("dagster.yaml", "values.yaml")
OWN = sorted(path.name for path in FILES.glob("*.yaml") if path.name not in OF_CHART)


def pod_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def of_kind(name: str, kind: str) -> dict[str, Any]:
    (found,) = [item for item in manifests(name) if item["kind"] == kind]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OWN)
def test_kubernetes_knows_every_field(name: str, version: str) -> None:
    for manifest in manifests(name):
        kubernetes_validate.validate(manifest, version, strict=True)
        assert manifest["metadata"]["namespace"] == "sigmasight"


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field_of_the_parts_that_the_chart_passes_on(version: str) -> None:
    (location,) = VALUES["dagster-user-deployments"]["deployments"]
    for part in (location, DAEMON, VALUES["dagsterWebserver"]):
        names = ("securityContext", "resources", "readinessProbe")
        container = {key: part[key] for key in names if key in part}
        probe = {key: value for key, value in container.get("readinessProbe", {}).items() if key != "enabled"}
        require_pod(
            version, {**container, "readinessProbe": probe or None}, {"securityContext": part["podSecurityContext"]}
        )
    raw = LAUNCHER["runK8sConfig"]
    sources = [{"secretRef": item} for item in LAUNCHER["envSecrets"]]
    container = {"securityContext": LAUNCHER["securityContext"], "resources": LAUNCHER["resources"], "envFrom": sources}
    require_pod(version, container, raw["podSpecConfig"])
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]}}
    kubernetes_validate.validate({**job, "spec": {**raw["jobSpecConfig"], "template": template}}, version, strict=True)


def require_pod(version: str, container: Mapping[str, Any], pod: Mapping[str, Any]) -> None:
    given = {key: value for key, value in container.items() if value is not None}
    spec = {**pod, "containers": [{"name": "a", **given}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    deployment = of_kind("api.yaml", "Deployment")
    pod_of(deployment)["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize(("name", "kind"), [("api.yaml", "Deployment"), ("migrate.yaml", "Job")])
def test_containers_have_no_rights_that_they_do_not_need(name: str, kind: str) -> None:
    pod = pod_of(of_kind(name, kind))
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    rights = container["securityContext"]
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]) == {"requests", "limits"}


def test_every_setting_exists_and_none_is_a_secret() -> None:
    known: dict[str, Any] = {**ApiSettings.model_fields, **Settings.model_fields}
    names = {str(field.validation_alias or PREFIX + name.upper()): field for name, field in known.items()}
    (settings,) = manifests("settings.yaml")
    for name in settings["data"]:
        assert name in names or not name.startswith(PREFIX)
        assert name not in names or names[name].repr
    for path in FILES.iterdir():
        content = path.read_text(encoding="utf-8")
        assert "password:" not in content.lower().replace("key `postgresql-password`: the password", "")


def test_selectors_find_the_pods_of_the_deployment() -> None:
    labels = of_kind("api.yaml", "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of_kind("api.yaml", "Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("api.yaml", "Service")["spec"]["selector"] == labels
    assert of_kind("api.yaml", "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    (rule,) = policies_of({"component": "dagster-webserver"})[0]["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": labels}}]
    assert rule["ports"] == [{"port": VALUES["dagsterWebserver"]["service"]["port"]}]


def policies_of(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The policies that hold for a pod with these labels."""

    def selects(policy: Mapping[str, Any]) -> bool:
        selector = policy["spec"]["podSelector"]
        assert set(selector) == {"matchLabels"}
        return bool(selector["matchLabels"].items() <= labels.items())

    return [item for item in manifests("network.yaml") if selects(item)]


def chart_components() -> list[str]:
    """The label ``component`` of each Deployment that the chart makes of the values, as its templates have it."""
    webserver, locations = VALUES["dagsterWebserver"], VALUES["dagster-user-deployments"]
    enabled = {
        "dagster-webserver": webserver["replicaCount"] > 0,
        "dagster-webserver-read-only": webserver["enableReadOnly"],
        "dagster-daemon": DAEMON["enabled"],
        "user-deployments": locations["enabled"] and locations["enableSubchart"],
    }
    return [component for component, is_enabled in enabled.items() if is_enabled]


def test_every_deployment_of_the_values_is_reached_by_whom_a_policy_names() -> None:
    reached = {}
    for component in chart_components():
        (policy,) = policies_of({"component": component})
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        sources = [source for rule in policy["spec"]["ingress"] for source in rule["from"]]
        assert all(set(source) == {"podSelector"} for source in sources)
        assert all(rule["ports"] for rule in policy["spec"]["ingress"])
        reached[component] = len(sources)
    assert reached == {
        "dagster-webserver": 1,
        "dagster-webserver-read-only": 0,
        "dagster-daemon": 0,
        "user-deployments": 1,
    }


def test_the_api_asks_the_webserver_of_the_release() -> None:
    (container,) = pod_of(of_kind("api.yaml", "Deployment"))["containers"]
    told = {item["name"]: item["value"] for item in container["env"]}
    webserver = VALUES["dagsterWebserver"]
    address = f"http://sigmasight-{webserver['nameOverride']}:{webserver['service']['port']}/graphql"
    assert told == {"SIGMASIGHT_DAGSTER_GRAPHQL": address}


LINES = (FILES / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def instructions(name: str) -> list[str]:
    """What stands behind an instruction of the Containerfile, for each of its lines."""
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What of the checkout the Containerfile copies, and nothing else; packages are those of this environment."""
    directory = tmp_path_factory.mktemp("image")
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            for source in line.split()[:-1]:
                found, target = ROOT / source, directory / source
                target.parent.mkdir(parents=True, exist_ok=True)
                if found.is_dir():
                    shutil.copytree(found, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(found, target)
    return directory


@contextmanager
def running(container: Mapping[str, Any], cluster: Cluster, args: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    log = cluster.directory / "container.log"
    with log.open("wb") as output:
        environment = cluster.environment(container) | {"HOME": str(cluster.directory)}
        process = subprocess.Popen(args, env=environment, cwd=cluster.directory, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def secrets_of(url: str, api_url: str = "", operator_url: str = "") -> dict[str, dict[str, str]]:
    of_api = {"SIGMASIGHT_DATABASE_URL": api_url, "SIGMASIGHT_OPERATOR_DATABASE_URL": operator_url}
    return {"sigmasight-pipeline": {"SIGMASIGHT_DATABASE_URL": url}, "sigmasight-api": of_api}


def settings_map() -> dict[str, dict[str, str]]:
    (found,) = manifests("settings.yaml")
    return {"sigmasight-settings": found["data"]}


def test_the_migration_brings_an_empty_database_to_the_newest_schema(
    database_url: str, tmp_path: Path, image: Path
) -> None:
    (container,) = pod_of(of_kind("migrate.yaml", "Job"))["containers"]
    cluster = Cluster(tmp_path, secrets_of(database_url), settings_map(), code=image)
    for _ in range(2):
        with running(container, cluster, container["args"]) as process:
            assert process.wait(120) == 0, (tmp_path / "container.log").read_text()
    with closing(Database(database_url)) as database, database.begin() as connection:
        assert current_revision(database.engine) == newest_revision()
        # Dagster's services need it before they start.
        assert connection.execute(text("SELECT count(*) FROM pg_namespace WHERE nspname = 'dagster'")).scalar() == 1


@pytest.mark.usefixtures("role_passwords")
def test_the_api_starts_answers_its_probes_and_ends(database: Database, tmp_path: Path, image: Path) -> None:
    with database.begin() as connection:
        for role in (API_ROLE, OPERATOR_ROLE):
            set_password(connection, role, ROLE_PASSWORD)
    urls = [
        database.engine.url.set(username=role, password=ROLE_PASSWORD).render_as_string(hide_password=False)
        for role in (API_ROLE, OPERATOR_ROLE)
    ]
    (container,) = pod_of(of_kind("api.yaml", "Deployment"))["containers"]
    assert container["image"] == IMAGE
    cluster = Cluster(tmp_path, secrets_of(database.url, *urls), settings_map(), code=image)
    (declared,) = container["ports"]
    port = free_port()
    # Only on loopback here, and at a port that is free.
    here = {str(declared["containerPort"]): str(port), "0.0.0.0": "127.0.0.1"}  # noqa: S104
    args = [here.get(argument, argument) for argument in container["args"]]

    def answers(probe: str) -> bool:
        asked = container[probe]["httpGet"]
        assert asked["port"] == declared["name"]
        try:
            return httpx.get(f"http://127.0.0.1:{port}{asked['path']}", timeout=3, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    with running(container, cluster, args) as process:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            until(lambda probe=probe: answers(probe), f"{probe} fails", (tmp_path / "container.log").read_text)  # type: ignore[misc]
        process.terminate()
        # Uvicorn closes everything, then ends by the signal that it was sent.
        assert process.wait(30) == -signal.SIGTERM
    assert "Traceback" not in (tmp_path / "container.log").read_text()
    with closing(Database(urls[0])) as restricted, restricted.begin() as connection:
        assert is_restricted(connection)


class TestContainerfile:
    def test_it_ends_as_a_user_without_rights(self) -> None:
        assert instructions("USER") == ["10001:10001"]
        assert len(instructions("FROM")) == 2

    def test_packages_come_by_hash_and_nothing_secret_goes_in(self) -> None:
        setup = (ROOT / ".ci" / "setup").read_text(encoding="utf-8")
        assert setup.count("--require-hashes") >= 3
        assert any("sh .ci/setup" in line for line in instructions("RUN"))
        assert not [line for line in instructions("ENV") + instructions("ARG") if "PASSWORD" in line]

    def test_the_lock_has_what_the_launcher_needs(self) -> None:
        lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        assert "\ndagster-k8s==" in lock


def test_programs_of_the_manifests_are_installed() -> None:
    directory = Path(sys.executable).parent
    for name, kind in (("api.yaml", "Deployment"), ("migrate.yaml", "Job")):
        (container,) = pod_of(of_kind(name, kind))["containers"]
        assert os.access(directory / container["args"][0], os.X_OK)
    assert os.access(directory / "dagster", os.X_OK)


def test_the_values_are_one_document() -> None:
    assert len(list(yaml.safe_load_all((FILES / "values.yaml").read_text(encoding="utf-8")))) == 1
