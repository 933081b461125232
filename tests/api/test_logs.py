"""Tests of the log's lines: one a record, printable, without secrets and statements."""

import logging
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from sigmasight_api.logs import OneLine, described, one_line
from sigmasight_assets.storage.database import Database


def test_whatever_a_message_holds_is_one_printable_line() -> None:
    hostile = "AAPL\r\n2025 ERROR forged\x1b[2J\u202e\x00\ud800\u2028\x85 caf\u00e9"
    assert one_line(hostile) == r"AAPL\r\n2025 ERROR forged\x1b[2J\u202e\x00\ud800\u2028\x85 café"


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:pass-word@host/base", "postgresql://***@host/base"),
        ("postgresql+psycopg2://ann:pass-word@host:5/base", "postgresql+psycopg2://***@host:5/base"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("?token=sgm_aB-9_x&a=1", "?token=***&a=1"),
        ("GET http://host/a@b", "GET http://host/a@b"),
    ],
)
def test_secrets_are_left_out(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_record_with_an_error_names_its_origin_without_a_traceback(database: Database) -> None:
    try:
        database.engine.connect().execute(sa.text("SELECT secret FROM nowhere WHERE a = :a"), {"a": "hidden"})
    except ProgrammingError as error:
        expected = described(error)
        record = logging.LogRecord("api", logging.ERROR, "x.py", 1, "asked\nfor %r", ("a\nb",), sys.exc_info())
    shown = OneLine("%(levelname)s %(name)s: %(message)s").format(record)
    assert shown == r"ERROR api: asked\nfor 'a\nb'\n" + expected
    assert expected.startswith('ProgrammingError: relation "nowhere" does not exist (at ')
    assert "hidden" not in shown
    assert "SELECT" not in shown


def test_the_origin_is_the_innermost_frame_of_ours_first() -> None:
    try:
        Database("postgresql+psycopg2://nobody@127.0.0.1:9/nothing").engine.connect()
    except sa.exc.OperationalError as error:
        shown = described(error)
    assert "(at unknown)" in shown
    try:
        with Database("postgresql+psycopg2://nobody@127.0.0.1:9/nothing").begin():
            pass
    except Exception as error:  # noqa: BLE001 - whatever it is
        shown = described(error)
    assert "(at sigmasight_assets.storage.engine:" in shown
    assert " < sigmasight_assets.storage.database:" in shown
