"""Workers on machines of their own, of which one loses its network in the middle of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.runs import FORCE_TAG
from sigmasight_assets.services.ports import LOOPBACK
from tests.celery.broker import SHIPPED
from tests.celery.conftest import Cluster, running_cluster, settings_of_workers
from tests.celery.hosts import GATEWAY, Host, hosts, let_in, need_namespaces
from tests.celery.test_losses import held_night
from tests.celery.workers import Worker, running_workers
from tests.conftest import VOLATILE, NewDatabase
from tests.e2e.conftest import comparison
from tests.e2e.market import Disturbances
from tests.e2e.world import DAYS, PUBLISHED, TONIGHT
from tests.faults.own_server import OwnServer, own_server
from tests.operations.test_units import read_by_a_shell
from tests.orchestration.contents import rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ADDRESSES = "SELECT DISTINCT host(client_addr) AS address FROM pg_stat_activity WHERE datname = current_database()"


@pytest.fixture
def machines() -> Iterator[list[Host]]:
    need_namespaces()
    with hosts(2) as found:
        yield found


@pytest.fixture
def server(open_directory: Path, machines: list[Host]) -> Iterator[OwnServer]:
    """A database server that the machines reach."""
    assert machines
    with own_server(open_directory, **VOLATILE, listen_addresses=f"{LOOPBACK},{GATEWAY}") as running:
        let_in(running.data_directory)
        running.execute("SELECT pg_reload_conf()")
        yield running


def test_a_machine_that_loses_its_network(
    machines: list[Host], server: OwnServer, new_database: NewDatabase, schema_template: str, tmp_path: Path
) -> None:
    with (
        server.migrated() as url,
        running_cluster(tmp_path, url, broker_addresses=(LOOPBACK, GATEWAY)) as cluster,
        running_workers([worker(cluster, host, tmp_path) for host in machines]) as workers,
    ):
        stack, compare = cluster.stack, comparison(cluster.stack, new_database, schema_template)
        stack.begin("published", PUBLISHED[-1])
        nightly = held_night(cluster)
        stranded = cluster.owner(nightly, workers)
        (lonely,) = [host for host in machines if host.name == stranded.name]
        assert lonely.address in {row["address"] for row in rows_of(stack.database, ADDRESSES)}
        lonely.link("down")
        stack.until(lambda: len(stack.runs(SYMBOL_LAYER)) == 2, "the run to be done again", told=stack.runs)
        again = stack.runs(SYMBOL_LAYER)[1].run_id
        stack.disturb(Disturbances())
        stack.succeed(again)
        other = cluster.owner(again, workers)
        assert other is not stranded
        assert "The worker was lost" in stack.client.failure_reason(nightly)
        stack.wait_for_snapshots(TONIGHT)
        compare(DAYS[:61])

        lonely.link("up")
        stack.until(lambda: stranded.tasks_ended() == 1, "its run to end", told=stranded.said)
        compare(DAYS[:61])
        # It takes runs again, alone.
        other.kill()
        later = stack.launch(DAYS[30], tags={FORCE_TAG: "true"})
        stack.succeed(later)
        assert cluster.owner(later, workers) is stranded
        compare(DAYS[:61])


def worker(cluster: Cluster, host: Host, directory: Path) -> Worker:
    """A worker there, which knows database and broker by the address of this machine."""
    # How soon a silent database counts as gone, as in the file of settings that is shipped.
    example = read_by_a_shell((SHIPPED / "celery.env").read_text(), directory)["SIGMASIGHT_DATABASE_URL"]
    silence = {name: value for name, value in make_url(example).query.items() if not name.startswith("ssl")}
    assert "keepalives_idle" in silence
    url = make_url(cluster.stack.database.url).set(host=GATEWAY).update_query_dict(silence)
    settings = settings_of_workers(url.render_as_string(hide_password=False), cluster.broker.url)
    return Worker(host.name, directory / host.name, settings, cluster.stack.directory, prefix=host.prefix)
