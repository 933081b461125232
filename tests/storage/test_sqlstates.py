"""Which refusals pass by themselves, by SQLSTATE as PostgreSQL documents them."""

import pytest

from sigmasight_assets.storage.sqlstates import is_lost_connection, is_passing

PASSING = {
    "08000": "connection exception",
    "08006": "connection failure",
    "25P03": "idle in transaction for too long",
    "40001": "serialization failure",
    "40P01": "deadlock detected",
    "53300": "too many connections",
    "55P03": "lock not available",
    "57014": "statement timeout",
    "57P01": "admin shutdown",
    "57P02": "crash shutdown",
    "57P03": "cannot connect now",
    "57P05": "idle for too long",
}
LASTING = {
    "22003": "numeric value out of range",
    "22012": "division by zero",
    "23505": "unique violation",
    "23514": "check violation",
    "25006": "read-only transaction",
    "28P01": "wrong password",
    "3D000": "no such database",
    "42501": "permission denied",
    "42P01": "no such table",
    "53100": "disk full",
    "53200": "out of memory",
    "57P04": "database dropped",
    "58030": "input or output error",
    "XX001": "data corrupted",
}


@pytest.mark.parametrize("sqlstate", PASSING, ids=PASSING.values())
def test_trouble_that_passes(sqlstate: str) -> None:
    assert is_passing(sqlstate)


@pytest.mark.parametrize("sqlstate", LASTING, ids=LASTING.values())
def test_trouble_that_stays(sqlstate: str) -> None:
    assert not is_passing(sqlstate)
    assert not is_lost_connection(sqlstate)


def test_a_lost_connection_is_one_that_passes() -> None:
    lost = {sqlstate for sqlstate in PASSING if is_lost_connection(sqlstate)}
    assert lost == {"08000", "08006", "25P03", "57P01", "57P02", "57P03", "57P05"}
