"""Is the Dagster that was just started ready, and what did an earlier one leave behind: asked over GraphQL."""

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.runs import DagsterClient

UNFINISHED = ("STARTING", "STARTED", "CANCELING")

LOCATION_QUERY = """
query Location {
  workspaceOrError {
    __typename
    ... on PythonError { message }
    ... on Workspace {
      locationEntries { name loadStatus locationOrLoadError { __typename ... on PythonError { message } } }
    }
  }
}
"""

DAEMON_QUERY = """
query Daemon {
  instance {
    daemonHealth {
      allDaemonStatuses { daemonType required healthy lastHeartbeatTime lastHeartbeatErrors { message } }
    }
  }
}
"""

UNFINISHED_QUERY = """
query Unfinished($filter: RunsFilter!) {
  runsOrError(filter: $filter) { __typename ... on Runs { results { runId } } ... on PythonError { message } }
}
"""

CANCEL_MUTATION = """
mutation Cancel($runIds: [String!]!) {
  terminateRuns(runIds: $runIds, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) {
    __typename
    ... on PythonError { message }
  }
}
"""


class DagsterProbe(DagsterClient):
    """Asks a webserver that is being started; ``ServiceError`` when it does not answer or answers with an error."""

    def location_problem(self, name: str) -> str | None:
        """What keeps the code location from being usable; ``None`` when it is loaded."""
        workspace = self.query(LOCATION_QUERY, {}, "workspaceOrError")
        if workspace["__typename"] != "Workspace":
            return f"workspace: {workspace.get('message', workspace['__typename'])}"
        entry = next((entry for entry in workspace["locationEntries"] if entry["name"] == name), None)
        if entry is None:
            return f"the workspace has no code location {name}"
        outcome = entry["locationOrLoadError"]
        if outcome is None or entry["loadStatus"] != "LOADED":
            return f"code location {name} is loading"
        if outcome["__typename"] == "PythonError":
            return f"code location {name} cannot be loaded: {outcome['message']}"
        return None

    def daemon_problem(self, since: float) -> str | None:
        """What keeps the daemon from being healthy, counting heartbeats after ``since`` (seconds since 1970) only."""
        statuses = self.query(DAEMON_QUERY, {}, "instance")["daemonHealth"]["allDaemonStatuses"]
        waiting = []
        for status in statuses:
            if not status["required"]:
                continue
            if status["lastHeartbeatErrors"]:
                return f"{status['daemonType']}: {status['lastHeartbeatErrors'][0]['message'].strip()}"
            if not status["healthy"] or (status["lastHeartbeatTime"] or 0.0) < since:
                waiting.append(status["daemonType"])
        return f"no heartbeat yet of {', '.join(waiting)}" if waiting or not statuses else None

    def cancel_unfinished(self, before: float) -> list[str]:
        """Mark runs that were under way and unchanged since ``before`` as canceled; their ids."""
        unfinished = {"statuses": list(UNFINISHED), "updatedBefore": before}
        runs = self.query(UNFINISHED_QUERY, {"filter": unfinished}, "runsOrError")
        if runs["__typename"] != "Runs":
            raise ServiceError(f"Dagster cannot list its runs: {runs.get('message', runs['__typename'])}")
        run_ids = [run["runId"] for run in runs["results"]]
        if run_ids:
            outcome = self.query(CANCEL_MUTATION, {"runIds": run_ids}, "terminateRuns")
            if outcome["__typename"] != "TerminateRunsResult":
                raise ServiceError(f"Dagster cannot end earlier runs: {outcome.get('message', outcome['__typename'])}")
        return run_ids
