"""The database and states of the orchestration's tests: what operators see rests on what runs leave behind."""

from tests.orchestration.conftest import (  # noqa: F401
    awkward,
    books,
    calendar,
    database,
    deploy,
    done,
    evening,
    market,
    priced,
    published,
    states,
    tracked,
)
