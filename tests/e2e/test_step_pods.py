"""With ``kubernetes_definitions`` each step is a Job of its own: the same tables, and a pod's start for each step."""

from pathlib import Path

import pytest
from sqlalchemy import text

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.quant.factors import FACTOR_ETFS
from tests.conftest import NewDatabase
from tests.kubernetes.conftest import DAY, deployed, until

STEPS = {"symbol_universe", "symbol_prices", "company_profiles", "symbol_products"}


@pytest.mark.e2e
@pytest.mark.long
def test_each_step_is_a_job_and_the_database_is_all_they_share(
    new_database: NewDatabase, schema_template: str, tmp_path: Path
) -> None:
    module = "sigmasight_assets.kubernetes_definitions"
    with new_database(schema_template) as url, deployed(tmp_path, url, module) as deployment:
        run_id = deployment.client.launch_range(SYMBOL_LAYER, first=DAY, last=DAY)
        deployment.job(run_id)
        until(lambda: deployment.client.run(run_id).is_finished, "the run does not end", lambda: deployment.log(run_id))
        assert deployment.status(run_id) == "SUCCESS", deployment.log(run_id)
        steps = {
            job["metadata"]["labels"]["dagster/op"]: job
            for job in deployment.cluster.jobs.values()
            if "dagster/op" in job["metadata"]["labels"]
        }
        assert set(steps) == STEPS
        assert deployment.cluster.refused == []
        secrets = deployment.cluster.secrets["sigmasight-pipeline"]
        assert [name for name, value in secrets.items() if value in str(steps)] == []
        for job in steps.values():
            (container,) = job["spec"]["template"]["spec"]["containers"]
            assert "execute_step" in container["args"]
            # Of the launcher: the tag of a job is for the pod of the run alone.
            assert container["resources"]["requests"] == {"cpu": "1", "memory": "2Gi"}
        with deployment.database.begin() as connection:
            published = connection.execute(text("SELECT count(*) FROM symbol_market_beta")).scalar_one()
        assert published == len(FACTOR_ETFS)
