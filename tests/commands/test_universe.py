"""Tests of ``sigmasight universe``."""

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.database import Database
from tests.commands.conftest import NO_ANSWER, NO_SERVER, Sigmasight, words
from tests.contents import contents
from tests.storage.onboarding_queue import ask, claimed, failed, publish_a_session, requests

HEADER = "symbol,name,sector,sub_industry"


def tracked(sigmasight: Sigmasight) -> dict[str, dict[str, Any]]:
    listed = json.loads(sigmasight("universe", "list", "--json").out)
    assert listed["total"] == len(listed["items"])
    return {item["symbol"]: item for item in listed["items"]}


def write(path: Path, *lines: str, encoding: str = "utf-8") -> str:
    path.write_bytes("\n".join([HEADER, *lines, ""]).encode(encoding))
    return str(path)


class TestImport:
    def test_the_markets_own_list(self, sigmasight: Sigmasight) -> None:
        assert sigmasight("universe", "list").out == "Tracked symbols: none\n"
        outcome = sigmasight("universe", "import")
        assert (outcome.code, outcome.out) == (0, "58 symbols added, 0 changed, 0 already tracked\n")
        found = tracked(sigmasight)
        assert set(FACTOR_ETFS) < set(found)
        assert {item["status"] for item in found.values()} == {"pending"}

    def test_a_file_and_the_factor_funds_it_leaves_out(self, sigmasight: Sigmasight, tmp_path: Path) -> None:
        file = write(tmp_path / "list.csv", "AAA,A Inc.,Energy,Oil & Gas", "SPY,My own name,,")
        assert sigmasight("universe", "import", file).out == "9 symbols added, 0 changed, 0 already tracked\n"
        found = tracked(sigmasight)
        assert set(found) == {"AAA", *FACTOR_ETFS}
        assert (found["AAA"]["asset_type"], found["AAA"]["industry"]) == ("equity", "Oil & Gas")
        assert {found[name]["asset_type"] for name in FACTOR_ETFS} == {"etf"}
        assert found["SPY"]["name"] == "My own name"

    def test_the_same_again_changes_nothing_and_another_name_one_row(
        self, sigmasight: Sigmasight, database: Database, tmp_path: Path
    ) -> None:
        file = write(tmp_path / "list.csv", "AAA,A Inc.,Energy,")
        sigmasight("universe", "import", file)
        before = contents(database)
        assert sigmasight("universe", "import", file).out == "0 symbols added, 0 changed, 9 already tracked\n"
        assert contents(database) == before
        file = write(tmp_path / "list.csv", "AAA,A plc,Energy,")
        assert sigmasight("universe", "import", file).out == "0 symbols added, 1 changed, 8 already tracked\n"
        assert len(set(contents(database)) - set(before)) == 1

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["AAA,A Inc.,Energy"], "line 2: 1 missing fields"),
            (["AAA,A Inc.,Energy,Oil", "bad symbol,x,,"], "line 3: the symbol 'bad symbol' is not 1 to 20 of A-Z"),
            (["AAA,A Inc.,,", "AAA,B Inc.,,"], "line 3: the symbol AAA was already listed"),
            (["AAA,,Energy,Oil"], "line 2: AAA has no name"),
        ],
    )
    def test_wrong_lines_are_named_and_nothing_is_stored(
        self, refused: Sigmasight, tmp_path: Path, lines: list[str], message: str
    ) -> None:
        outcome = refused("universe", "import", write(tmp_path / "list.csv", *lines))
        assert outcome.code == 1
        assert message in outcome.err

    def test_files_that_cannot_be_read_are_named(self, refused: Sigmasight, tmp_path: Path) -> None:
        latin = write(tmp_path / "latin.csv", "AAA,Société,Energy,Oil", encoding="cp1252")
        for file, message in (
            ("nowhere.csv", "nowhere.csv cannot be opened: No such file or directory"),
            (str(tmp_path), "cannot be opened: Is a directory"),
            (latin, "cannot be read as UTF-8 CSV"),
        ):
            outcome = refused("universe", "import", file)
            assert outcome.code == 1
            assert message in outcome.err

    def test_a_market_of_files_that_are_not_there_is_told(
        self, refused: Sigmasight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SIGMASIGHT_MARKET", "files")
        outcome = refused("universe", "import")
        assert outcome.err.startswith("error: SIGMASIGHT_MARKET=files needs SIGMASIGHT_MARKET_FILES")
        monkeypatch.setenv("SIGMASIGHT_MARKET_FILES", str(tmp_path))
        assert "constituents.csv cannot be opened: No such file or directory" in refused("universe", "import").err


class TestAdd:
    def test_symbols_of_the_market(self, sigmasight: Sigmasight) -> None:
        outcome = sigmasight("universe", "add", "SPY", "TLT", "SPY")
        assert (outcome.code, outcome.out) == (0, "2 symbols added, 0 changed, 0 already tracked\n")
        assert list(tracked(sigmasight)) == ["SPY", "TLT"]

    def test_once_sessions_are_published_they_are_asked_for_at_once(
        self, sigmasight: Sigmasight, database: Database
    ) -> None:
        publish_a_session(database)
        outcome = sigmasight("universe", "add", "TLT", "SPY")
        assert outcome.out == (
            "2 symbols added, 0 changed, 0 already tracked\n"
            "Asked for at once: SPY, TLT; see `sigmasight universe requests`\n"
        )
        found = requests(database)
        assert {symbol: (item.status, item.priority) for symbol, item in found.items()} == {
            "SPY": ("pending", 0),
            "TLT": ("pending", 0),
        }
        assert found["SPY"].requested_by == f"operator {getpass.getuser()}"
        assert "Asked for at once: SPY" in sigmasight("universe", "add", "SPY").out
        assert requests(database) == found

    @pytest.mark.parametrize("names", [["NOPE"], ["SPY", "NOPE", "spy"], [""], ["[/]"]])
    def test_unknown_ones_are_named_and_nothing_is_added(self, refused: Sigmasight, names: list[str]) -> None:
        outcome = refused("universe", "add", *names)
        unknown = ", ".join(name for name in names if name != "SPY")
        message = f"error: The simulated market does not list {unknown}; check the spelling (BRK-B)\n"
        assert (outcome.code, outcome.err) == (1, message)

    def test_none_is_misuse(self, refused: Sigmasight) -> None:
        outcome = refused("universe", "add")
        assert outcome.code == 2
        assert "Missing argument 'SYMBOL...'" in words(outcome.err)


class TestRequests:
    def test_none(self, sigmasight: Sigmasight) -> None:
        assert sigmasight("universe", "requests").out == "Onboarding requests: none\n"
        assert json.loads(sigmasight("universe", "requests", "--json").out) == {"items": [], "total": 0}

    def test_newest_first_with_what_became_of_them(self, sigmasight: Sigmasight, database: Database) -> None:
        ask(database, "BAD")
        claimed(database, run_id="r1")
        failed(database, "r1", is_final=True, BAD="unknown: no such ticker")
        ask(database, "NEW", priority=10)
        items = json.loads(sigmasight("universe", "requests", "--json").out)["items"]
        shown = ("symbol", "status", "priority", "attempts", "requested_by", "error")
        assert [[item[name] for name in shown] for item in items] == [
            ["NEW", "pending", 10, 0, "a test", None],
            ["BAD", "failed", 0, 1, "a test", "unknown: no such ticker"],
        ]
        told = words(sigmasight("universe", "requests").out)
        assert told.index("NEW") < told.index("BAD")
        assert "waiting to be onboarded" in told
        assert "unknown: no such ticker" in told


@pytest.mark.parametrize("arguments", [["import"], ["add", "SPY"], ["list"], ["requests"]])
def test_a_database_that_is_away_or_empty_is_told(
    refused: Sigmasight, database_url: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", NO_SERVER)
    outcome = refused("universe", *arguments)
    assert (outcome.code, outcome.err) == (1, NO_ANSWER)
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
    assert refused("universe", *arguments).err.endswith("Run `sigmasight db migrate`.\n")
