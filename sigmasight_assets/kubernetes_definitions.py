"""The same definitions with a pod for each step, for code servers that are told this module.

When that is worth it is in ``docs/operator/kubernetes.md``. Needs the extra ``kubernetes``. Steps pass everything
through the database, so they need nothing in common but that.
"""

from dagster_k8s import k8s_job_executor

from sigmasight_assets.definitions import build_definitions

defs = build_definitions(executor=k8s_job_executor)
