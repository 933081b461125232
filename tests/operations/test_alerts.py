"""Alerts reach a real receiver, each once, in order, and the address of the webhook is told to nobody."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from sigmasight_assets.operations import alerts as module
from sigmasight_assets.operations.alerts import deliver_alerts, delivery_pause
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.storage.alerts import Alert, raise_alert, read_alerts
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import execute
from tests.receivers import TOKEN, Receiver, webhook


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook() as receiver:
        yield receiver


def raise_some(database: Database, *keys: str) -> None:
    for key in keys:
        with database.begin() as connection:
            raise_alert(connection, key=key, severity="critical", payload={"kind": "run_failed", "cause": key})


def stored(database: Database) -> dict[str, Alert]:
    with database.begin() as connection:
        return {alert.alert_key: alert for alert in read_alerts(connection)}


def let_pauses_pass(database: Database) -> None:
    execute(database, "UPDATE alerts SET not_before = now() - interval '1 second'")


def test_alerts_are_posted_as_json_in_their_order(database: Database, receiver: Receiver) -> None:
    raise_some(database, "a", "b")
    assert deliver_alerts(database, receiver.url) == 2
    raised_at = {key: alert.raised_at.isoformat() for key, alert in stored(database).items()}
    assert receiver.received == [
        {"kind": "run_failed", "cause": key, "key": key, "severity": "critical", "raised_at": raised_at[key]}
        for key in ("a", "b")
    ]
    assert receiver.requests == [("POST", f"/hooks/{TOKEN}", "application/json")] * 2
    assert all(alert.delivered_at for alert in stored(database).values())


def test_what_was_delivered_is_not_posted_again(database: Database, receiver: Receiver) -> None:
    raise_some(database, "a")
    assert [deliver_alerts(database, receiver.url) for _ in range(3)] == [1, 0, 0]
    assert len(receiver.requests) == 1


def test_without_a_webhook_they_are_kept(database: Database) -> None:
    raise_some(database, "a")
    assert deliver_alerts(database, "") == 0
    assert (stored(database)["a"].attempts, stored(database)["a"].delivered_at) == (0, None)


@pytest.mark.parametrize(
    ("status", "headers"), [(500, {}), (404, {}), (302, {"Location": "http://127.0.0.1:9/elsewhere"})]
)
def test_an_answer_that_is_no_success_is_tried_again_later(
    database: Database, receiver: Receiver, status: int, headers: dict[str, str]
) -> None:
    raise_some(database, "a", "b")
    receiver.status, receiver.headers = status, headers
    assert deliver_alerts(database, receiver.url) == 0
    assert len(receiver.requests) == 1, "after a refusal the others wait"
    alert = stored(database)["a"]
    assert (alert.attempts, alert.last_error) == (1, f"the webhook answered HTTP {status}")
    receiver.status = 200
    assert deliver_alerts(database, receiver.url) == 1, "the one that was refused pauses"
    let_pauses_pass(database)
    assert deliver_alerts(database, receiver.url) == 1
    assert [item["key"] for item in receiver.received] == ["b", "a"]
    alert = stored(database)["a"]
    assert (alert.attempts, alert.last_error) == (2, None)


def test_a_receiver_that_is_down_gets_them_when_it_is_up(database: Database) -> None:
    raise_some(database, "a")
    port = free_port()
    assert deliver_alerts(database, f"http://127.0.0.1:{port}/hooks/{TOKEN}") == 0
    assert stored(database)["a"].last_error == "the webhook cannot be reached (ConnectError)"
    let_pauses_pass(database)
    with webhook(port) as receiver:
        assert deliver_alerts(database, receiver.url) == 1
        assert [item["key"] for item in receiver.received] == ["a"]


def test_a_receiver_that_does_not_answer_is_not_waited_for(
    database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    raise_some(database, "a")
    receiver.answering.clear()
    assert deliver_alerts(database, receiver.url) == 0
    assert stored(database)["a"].last_error == "the webhook did not answer within 0.2 s"


def test_two_callers_post_each_alert_once(database: Database, receiver: Receiver) -> None:
    raise_some(database, "a", "b")
    receiver.answering.clear()
    counts: list[int] = []
    callers = [threading.Thread(target=lambda: counts.append(deliver_alerts(database, receiver.url))) for _ in range(3)]
    for caller in callers:
        caller.start()
    # Two post, and the third finds nothing that is free.
    deadline = time.monotonic() + 30
    while len(receiver.requests) < 2 or not counts:
        assert time.monotonic() < deadline, "the callers wait for each other"
        time.sleep(0.01)
    receiver.answering.set()
    for caller in callers:
        caller.join(30)
    assert sorted(item["key"] for item in receiver.received) == ["a", "b"]
    assert sorted(counts) == [0, 1, 1]


def test_a_tick_delivers_so_many_at_once(
    database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    raise_some(database, "a", "b", "c")
    assert [deliver_alerts(database, receiver.url) for _ in range(2)] == [2, 1]


def test_no_proxy_of_the_environment_is_asked(
    database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    raise_some(database, "a")
    assert deliver_alerts(database, receiver.url) == 1


@pytest.mark.fault(33)
def test_the_address_is_told_to_nobody(
    database: Database, receiver: Receiver, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    raise_some(database, "a", "b")
    receiver.status = 403
    deliver_alerts(database, receiver.url)
    deliver_alerts(database, f"http://127.0.0.1:{free_port()}/hooks/{TOKEN}")
    assert all(alert.last_error for alert in stored(database).values())
    told = [*(alert.last_error or "" for alert in stored(database).values()), caplog.text, *capsys.readouterr()]
    assert [text for text in told if TOKEN in text] == []


def test_pauses_grow_up_to_an_hour() -> None:
    pauses = [delivery_pause(attempts) for attempts in (1, 2, 3, 8, 9, 10, 1000)]
    assert [pause / timedelta(seconds=10) for pause in pauses] == [1, 2, 4, 128, 256, 360, 360]
