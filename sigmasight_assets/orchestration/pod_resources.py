"""What a run asks of a Kubernetes cluster, by its job; run launchers that start no pods leave the tag alone.

A request may put another value into the tag. Requests are the peaks of docs/performance.md for 5,000 symbols and a
million portfolios, with half as much again; what takes more than the limit is ended by the cluster and started again.
"""

import json
from typing import Any

TAG = "dagster-k8s/config"


def pod_resources(*, cpu: str, memory: str, most_memory: str) -> dict[str, str]:
    """The tag by which a job's runs get these requests and this limit."""
    resources: dict[str, Any] = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": most_memory}}
    return {TAG: json.dumps({"container_config": {"resources": resources}}, sort_keys=True)}
