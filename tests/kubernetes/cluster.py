"""A stand-in for a Kubernetes cluster: its API on loopback, and its Jobs as processes of this machine.

It takes what the Python client of Kubernetes takes, refuses fields that the client's models do not know, and starts
the container of each Job with the environment that a pod would have: that of the manifest and of the Secrets and
ConfigMaps which it names, and nothing of the test's own. It schedules nothing, pulls no image and isolates nothing.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml  # type: ignore[import-untyped]
from kubernetes.client import ApiClient, V1Job

from tests.documents import ROOT

JOBS = re.compile(r"^/apis/batch/v1/namespaces/(?P<namespace>[^/]+)/jobs(?:/(?P<name>[^/]+))?(?P<status>/status)?$")
PODS = re.compile(r"^/api/v1/namespaces/(?P<namespace>[^/]+)/pods(?:/(?P<name>[^/]+))?$")
EVENTS = re.compile(r"^/api/v1/namespaces/(?P<namespace>[^/]+)/events$")
LOGS = re.compile(r"^/api/v1/namespaces/(?P<namespace>[^/]+)/pods/(?P<name>[^/]+)/log$")
GRACE_SECONDS = 20.0


@dataclass
class Pod:
    """The process of a Job's container."""

    process: "subprocess.Popen[bytes]"
    log: Path
    deleted: bool = False

    def phase(self) -> str:
        """As Kubernetes names it."""
        code = self.process.poll()
        return "Running" if code is None else "Succeeded" if code == 0 else "Failed"

    def end(self) -> None:
        """SIGTERM, and SIGKILL after the grace."""
        self.deleted = True
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def kill(self) -> None:
        """What the kernel does to a container that takes too much memory."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Cluster:
    """What is stored in the cluster, and its running pods; both by name."""

    directory: Path
    secrets: Mapping[str, Mapping[str, str]]
    config_maps: Mapping[str, Mapping[str, str]]
    # Where the code of the image is.
    code: Path = ROOT
    url: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _starting: list[threading.Thread] = field(default_factory=list)

    @property
    def kubeconfig(self) -> Path:
        """A configuration file for clients of this cluster."""
        path = self.directory / "kubeconfig"
        if not path.exists():
            content = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "stand-in", "cluster": {"server": self.url}}],
                "users": [{"name": "nobody", "user": {}}],
                "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "nobody"}}],
                "current-context": "stand-in",
            }
            path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def create(self, namespace: str, posted: dict[str, Any]) -> dict[str, Any]:
        """Keep a Job and start its container; ``ValueError`` when it is none."""
        require_job(posted)
        name = posted["metadata"]["name"]
        with self._lock:
            if name in self.jobs:
                raise FileExistsError(name)
            kept = self.jobs[name] = {**posted, "metadata": {**posted["metadata"], "namespace": namespace}}
            # As in a cluster, the answer does not wait for it.
            thread = threading.Thread(target=self._start, args=(name, kept["spec"]["template"]["spec"]))
            self._starting.append(thread)
        thread.start()
        return kept

    def _start(self, name: str, template: Mapping[str, Any]) -> None:
        (container,) = template["containers"]
        self._mount(template, container)
        log = self.directory / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*container.get("command", []), *container["args"]],
                env=self.environment(container),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                start_new_session=True,
            )
        with self._lock:
            self.pods[name] = Pod(process, log)
            is_wanted = name in self.jobs
        if not is_wanted:
            self.pods[name].end()

    def environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        """What a container finds in its environment; ``KeyError`` for a Secret or ConfigMap that is not there."""
        # The image's own: its programs, and the code that is installed there.
        found = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(self.code),
            "HOME": "/nonexistent",
        }
        for source in container.get("envFrom", []):
            if "secretRef" in source:
                found |= self.secrets[source["secretRef"]["name"]]
            else:
                found |= self.config_maps[source["configMapRef"]["name"]]
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                found[variable["name"]] = self.secrets[reference["name"]][reference["key"]]
            else:
                found[variable["name"]] = variable.get("value", "")
        return found

    def _mount(self, template: Mapping[str, Any], container: Mapping[str, Any]) -> None:
        """Lay the files of ConfigMaps where the container expects them, below the test's directory alone."""
        volumes = {volume["name"]: volume for volume in template.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                path = Path(mount["mountPath"])
                assert path.is_relative_to(self.directory), f"{path} is outside of {self.directory}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.config_maps[volume["configMap"]["name"]][mount["subPath"]], encoding="utf-8")

    def status(self, name: str) -> dict[str, Any]:
        """The status that the Job controller would write."""
        pod = self.pods.get(name)
        if pod is None:
            return {}
        phase = pod.phase()
        counts = {"Running": "active", "Succeeded": "succeeded", "Failed": "failed"}
        return {"startTime": "2026-01-01T00:00:00Z", counts[phase]: 1}

    def delete(self, name: str) -> None:
        """Take a Job away with its pod."""
        with self._lock:
            del self.jobs[name]
            self.deleted.append(name)
            pod = self.pods.get(name)
        if pod is not None:
            pod.end()

    def pod(self, name: str) -> dict[str, Any]:
        """The pod of a Job, as the API shows it."""
        running = self.pods[name]
        metadata = {"name": name, "namespace": "sigmasight", "labels": {"job-name": name}}
        spec = {"containers": [{"name": "dagster", "image": "unused"}]}
        return {"metadata": metadata, "spec": spec, "status": {"phase": running.phase()}}

    def log_of(self, name: str) -> str:
        """What the container of a Job wrote."""
        return self.pods[name].log.read_text(errors="replace") if name in self.pods else ""

    def close(self) -> None:
        """End every pod, also those that are just being started."""
        for thread in self._starting:
            thread.join()
        for pod in self.pods.values():
            pod.end()


def require_job(posted: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless Kubernetes' schema and the client's models know every field of this Job."""
    try:
        kubernetes_validate.validate(posted, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        raise ValueError(error.message) from error
    client = ApiClient()
    try:
        job = client.deserialize(SimpleNamespace(data=json.dumps(posted)), V1Job)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"no Job: {error}") from error
    known = client.sanitize_for_serialization(job)
    if known != posted:
        raise ValueError(f"a field is unknown or has a wrong type: {known} is left of {posted}")
    if not posted["metadata"].get("name") or not posted["spec"]["template"]["spec"].get("containers"):
        raise ValueError("a Job needs a name and a container")


class _Handler(BaseHTTPRequestHandler):
    """The few requests that Dagster makes."""

    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def do_POST(self) -> None:
        path = JOBS.match(urlsplit(self.path).path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if path is None:
            self._refuse(404, "NotFound", self.path)
            return
        try:
            self._answer(201, self.cluster.create(path["namespace"], body))
        except FileExistsError as error:
            self._refuse(409, "AlreadyExists", str(error))
        except ValueError as error:
            self.cluster.refused.append(str(error))
            self._refuse(422, "Invalid", str(error))

    def do_GET(self) -> None:
        path, cluster = urlsplit(self.path).path, self.cluster
        if (found := JOBS.match(path)) and found["name"]:
            if found["name"] not in cluster.jobs:
                self._refuse(404, "NotFound", found["name"])
                return
            job = cluster.jobs[found["name"]]
            self._answer(200, {**job, "status": cluster.status(found["name"])})
        elif found:
            self._answer(200, {"kind": "JobList", "items": list(cluster.jobs.values())})
        elif found := LOGS.match(path):
            self._send(200, cluster.log_of(found["name"]).encode(), "text/plain")
        elif (found := PODS.match(path)) and found["name"]:
            self._answer(200, cluster.pod(found["name"]))
        elif found:
            self._answer(200, {"kind": "PodList", "items": [cluster.pod(name) for name in self._selected()]})
        elif EVENTS.match(path):
            self._answer(200, {"kind": "EventList", "items": []})
        else:
            self._refuse(404, "NotFound", path)

    def do_DELETE(self) -> None:
        path, cluster = urlsplit(self.path).path, self.cluster
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (found := JOBS.match(path)) and found["name"] in cluster.jobs:
            cluster.delete(found["name"])
            self._answer(200, {"kind": "Status", "status": "Success"})
        elif (found := PODS.match(path)) and found["name"] in cluster.pods:
            cluster.pods[found["name"]].end()
            self._answer(200, cluster.pod(found["name"]))
        else:
            self._refuse(404, "NotFound", path)

    def _selected(self) -> list[str]:
        selector = parse_qs(urlsplit(self.path).query).get("labelSelector", [""])[0]
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        pods = self.cluster.pods
        return [name for name in pods if wanted.get("job-name") == name and not pods[name].deleted]

    def _refuse(self, status: int, reason: str, message: str) -> None:
        self._answer(status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message})

    def _answer(self, status: int, content: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: tests look at what is stored."""


@contextmanager
def stand_in_cluster(
    directory: Path, *, secrets: Mapping[str, Mapping[str, str]], config_maps: Mapping[str, Mapping[str, str]]
) -> Iterator[Cluster]:
    """A cluster for the block; pods that still run at its end are ended."""
    cluster = Cluster(directory, secrets, config_maps)
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        cluster.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, name="stand-in-cluster")
        thread.start()
        try:
            yield cluster
        finally:
            cluster.close()
            server.shutdown()
            thread.join()
