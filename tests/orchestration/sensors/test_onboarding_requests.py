"""The onboarding sensor on a real database: what it claims, what it requests, and that nothing is lost."""

from collections.abc import Iterator

import dagster as dg
import pytest

from sigmasight_assets.orchestration.jobs import ONBOARDING
from sigmasight_assets.orchestration.onboarding import BATCH_REQUESTS, CLAIMS_TAG, claims_of
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.sensors.onboarding_requests import onboarding_requests
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding_claims import LEASE_SECONDS
from tests.orchestration.deployments import Deploy
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.onboarding_market import NONE_SUCH, OLD, SHORT, enter_before, extended
from tests.orchestration.states import States
from tests.storage.onboarding_queue import ask, claimed, failed, let_pass, requests, statuses

pytestmark = pytest.mark.usefixtures("evening")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as fresh:
        yield fresh


def tick(url: str, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    resources = {"pipeline": Pipeline(database_url=url)}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        answer = onboarding_requests(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def requested(url: str, instance: dg.DagsterInstance) -> dg.RunRequest:
    answer = tick(url, instance)
    assert isinstance(answer, dg.RunRequest)
    return answer


def skipped(url: str, instance: dg.DagsterInstance) -> str:
    answer = tick(url, instance)
    assert isinstance(answer, dg.SkipReason)
    return answer.skip_message or ""


def test_without_requests_there_is_no_run(database: Database, instance: dg.DagsterInstance) -> None:
    assert skipped(database.url, instance) == "no request is due; 0 are under way or wait for their next attempt"


def test_all_that_is_due_becomes_one_run(database: Database, instance: dg.DagsterInstance) -> None:
    ask(database, OLD, SHORT)
    request = requested(database.url, instance)
    found = requests(database)
    assert claims_of(request.tags) == {found[OLD].request_id: 1, found[SHORT].request_id: 1}
    assert request.run_key == f"onboarding:{request.tags[CLAIMS_TAG]}"
    assert statuses(database) == dict.fromkeys((OLD, SHORT), "processing")
    assert skipped(database.url, instance).startswith("no request is due; 2 are under way")


def test_more_than_a_run_takes_wait_for_the_next_tick(database: Database, instance: dg.DagsterInstance) -> None:
    ask(database, *(f"S{number}" for number in range(BATCH_REQUESTS + 1)))
    sizes = [len(claims_of(requested(database.url, instance).tags) or {}) for _ in range(2)]
    assert sizes == [BATCH_REQUESTS, 1]


def test_a_claim_whose_run_was_never_launched_is_requested_again(
    database: Database, instance: dg.DagsterInstance
) -> None:
    ask(database, OLD)
    first = requested(database.url, instance)
    let_pass(database, LEASE_SECONDS)
    second = requested(database.url, instance)
    assert claims_of(second.tags) == {requests(database)[OLD].request_id: 2}
    assert second.run_key != first.run_key


def test_a_run_that_has_not_begun_keeps_its_claims(
    deploy: Deploy, database: Database, instance: dg.DagsterInstance
) -> None:
    ask(database, OLD)
    tags = requested(database.url, instance).tags
    job = deploy(database).definitions.resolve_job_def(ONBOARDING)
    run = instance.create_run_for_job(job, tags=dict(tags), status=dg.DagsterRunStatus.STARTING)
    for _ in range(3):
        let_pass(database, LEASE_SECONDS - 5)
        assert isinstance(tick(database.url, instance), dg.SkipReason)
    assert requests(database)[OLD].attempts == 1
    instance.delete_run(run.run_id)
    let_pass(database, LEASE_SECONDS)
    assert claims_of(requested(database.url, instance).tags) == {requests(database)[OLD].request_id: 2}


def test_failed_attempts_wait_for_their_pause(database: Database, instance: dg.DagsterInstance) -> None:
    ask(database, OLD)
    claimed(database, run_id="r1")
    failed(database, "r1", OLDX="away")
    assert skipped(database.url, instance).startswith("no request is due; 1 are")
    let_pass(database, 3600)
    assert claims_of(requested(database.url, instance).tags) == {requests(database)[OLD].request_id: 2}


def test_the_requested_run_onboards(
    states: States, awkward: ScriptedMarket, deploy: Deploy, instance: dg.DagsterInstance
) -> None:
    market = extended(awkward)
    database = enter_before(states, awkward, market)
    ask(database, OLD, NONE_SUCH)
    request = requested(database.url, instance)
    assert deploy(database, market=market).run(ONBOARDING, tags=request.tags).success
    assert statuses(database) == {OLD: "completed", NONE_SUCH: "failed"}
    assert "0 are under way" in skipped(database.url, instance)


def test_a_database_that_is_away_is_the_reason(instance: dg.DagsterInstance) -> None:
    assert "does not answer" in skipped("postgresql+psycopg2://nobody@127.0.0.1:9/nothing", instance)


def test_it_runs_by_itself_and_its_runs_come_first(deploy: Deploy, database: Database) -> None:
    assert onboarding_requests.default_status == dg.DefaultSensorStatus.RUNNING
    assert onboarding_requests.job_name == ONBOARDING
    tags = deploy(database).definitions.resolve_job_def(ONBOARDING).run_tags
    assert int(tags["dagster/priority"]) > 10
    # Another attempt is the queue's affair.
    assert tags["dagster/max_retries"] == "0"
