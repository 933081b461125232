"""Tests of the times after which a lost connection is given up."""

import psycopg2
from sqlalchemy.engine import make_url

from sigmasight_api.connections import TIMES, watched
from sigmasight_assets.storage.engine import libpq_settings


def test_every_driver_is_given_the_times_and_a_url_may_name_its_own(postgres_url: str) -> None:
    url = watched(make_url(postgres_url).update_query_dict({"keepalives_idle": "7"}).render_as_string(False))
    with psycopg2.connect(**libpq_settings(url)) as connection:
        used = connection.get_dsn_parameters()
    connection.close()
    assert {name: used[name] for name in TIMES} == {**TIMES, "keepalives_idle": "7"}
