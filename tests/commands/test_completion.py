"""Tests of completion: by the scripts that the command prints, in the shells they are for, with a real database."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from sigmasight_assets.commands.completion import LIMIT_VARIABLE, connection_address
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.engine import libpq_settings
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio, read_lots
from sigmasight_assets.storage.tokens import create_token, read_tokens, revoke_token
from tests.commands.conftest import NO_SERVER
from tests.commands.terminal import CHECKOUT, terminal
from tests.operations.ledger_rows import publish

# What a shell offers for a line whose last word is unfinished.
Offers = Callable[..., list[str]]
DAY = date(2025, 7, 30)

BASH = """
eval "$(sigmasight --show-completion)"
read -r -a COMP_WORDS <<< "$1"
if [[ $1 == *' ' ]]; then COMP_WORDS+=(""); fi
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_sigmasight_completion sigmasight
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    """The environment of a shell that finds the command and its database."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(CHECKOUT),
        "SIGMASIGHT_DATABASE_URL": database.url,
        # A busy machine takes longer than people wait for Tab.
        LIMIT_VARIABLE: "30",
    }


@pytest.fixture
def token(database: Database) -> str:
    """The number of the only token."""
    with database.begin() as connection:
        create_token(connection, "ann", is_admin=True)
        return str(read_tokens(connection)[0].token_id)


def run(command: list[str], environment: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=directory, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def offers(environment: dict[str, str], tmp_path: Path) -> Offers:
    """What bash would offer, by the function of the script that the command prints for it."""

    def complete(line: str, **variables: str) -> list[str]:
        done = run(["bash", "--norc", "-c", BASH, "bash", line], {**environment, **variables}, tmp_path)
        assert done.stderr == ""
        assert list(tmp_path.iterdir()) == []
        return done.stdout.split("\n")[:-1] if done.stdout.strip() else []

    return complete


def test_bash_offers_commands_and_options(offers: Offers) -> None:
    assert {"status", "backfill", "portfolio", "db"} <= set(offers("sigmasight "))
    assert offers("sigmasight sta") == ["status"]
    assert offers("sigmasight token re") == ["revoke"]
    assert {"--session", "--symbol"} == set(offers("sigmasight retry --s"))


def test_bash_offers_values_from_the_database(offers: Offers, database: Database) -> None:
    publish(database, DAY)
    house = NewLot("House", Decimal(1), None, DAY, investment_class="PRIVATE", market_value=Decimal(9), valued_on=DAY)
    gone = NewLot("OLD", Decimal(1), Decimal(2), DAY, exit_date=DAY, exit_price=Decimal(3))
    lots = [NewLot("SPY", Decimal(2), Decimal(500), DAY), house, gone]
    with database.begin() as connection:
        book = create_portfolio(connection, user="Ann O'Neil", name="Main", equity=Decimal(9), as_of=DAY, lots=lots)
        ids = {lot.symbol: str(lot.public_id) for lot in read_lots(connection, book.portfolio_id)}
        create_token(connection, "root", is_admin=True)
        create_token(connection, "bob")
        revoke_token(connection, read_tokens(connection)[0].token_id)
        bobs = str(read_tokens(connection)[1].token_id)
        connection.exec_driver_sql(
            "INSERT INTO symbol_universe (symbol, name, asset_type, status) "
            "VALUES ('AAPL', 'Apple', 'equity', 'active'), ('AA_X', 'Other', 'equity', 'delisted'), "
            "('BRK-B', 'Berkshire', 'equity', 'error')"
        )
    assert offers("sigmasight retry --session ") == ["2025-07-30"]
    assert offers("sigmasight backfill --from 2025-07-30 --to 2025-0") == ["2025-07-30"]
    assert offers("sigmasight backfill --from 2025-07-30 --to 2024") == []
    assert offers("sigmasight bars accept ") == ["AAPL", "AA_X", "BRK-B"]
    assert offers("sigmasight bars accept AA_") == ["AA_X"]
    assert offers("sigmasight bars accept AAPL ") == ["2025-07-30"]
    assert offers("sigmasight universe cash-out ") == ["AA_X"]
    assert offers("sigmasight retry --symbol ") == ["BRK-B"]
    assert offers("sigmasight portfolio lots ") == [str(book.public_id)]
    assert set(offers("sigmasight portfolio close ")) == {ids["SPY"], ids["House"]}
    assert offers("sigmasight portfolio value ") == [ids["House"]]
    assert offers("sigmasight token create --user A") == ["Ann\\ O\\'Neil"]
    assert offers("sigmasight token revoke ") == [bobs]
    assert offers("sigmasight retention drop --before ") == ["2026"]
    assert offers("sigmasight session unwaive ") == []


@pytest.mark.parametrize(
    "variables",
    [
        {"SIGMASIGHT_DATABASE_URL": NO_SERVER},
        {"SIGMASIGHT_DATABASE_URL": "", "SIGMASIGHT_HOME": "nowhere"},
        {"SIGMASIGHT_DATABASE_URL": "mysql://me@127.0.0.1/name"},
        {"SIGMASIGHT_API_PORT": "http"},
    ],
)
def test_without_a_database_nothing_is_offered_and_nothing_is_said(offers: Offers, variables: dict[str, str]) -> None:
    assert offers("sigmasight token revoke ", **variables) == []


def test_a_database_that_was_never_migrated_offers_nothing(offers: Offers, database_url: str) -> None:
    assert offers("sigmasight token revoke ", SIGMASIGHT_DATABASE_URL=database_url) == []


def test_a_query_that_takes_long_is_given_up_at_a_second_unless_more_is_asked_for(
    offers: Offers, database: Database, token: str
) -> None:
    """The query waits for a lock."""
    locker = psycopg2.connect(**libpq_settings(database.url))
    with closing(locker), locker.cursor() as cursor:
        cursor.execute("LOCK TABLE api_tokens IN ACCESS EXCLUSIVE MODE")
        for limit in ("", "0", "some"):
            assert offers("sigmasight token revoke ", **{LIMIT_VARIABLE: limit}) == []
        later = threading.Timer(8.0, locker.commit)
        later.start()
        assert offers("sigmasight token revoke ") == [token]
        later.join()


def test_a_server_that_says_nothing_is_waited_for_as_long_as_is_asked_for(offers: Offers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/name"
        began = time.monotonic()
        assert offers("sigmasight token revoke ", SIGMASIGHT_DATABASE_URL=url, **{LIMIT_VARIABLE: "7"}) == []
        assert 7 <= time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("shell", "variables", "expected"),
    [
        ("bash", {"COMP_WORDS": "sigmasight token revoke ", "COMP_CWORD": "3"}, "{token}\n"),
        (
            "zsh",
            {"_TYPER_COMPLETE_ARGS": "sigmasight token revoke "},
            """_arguments '*: :(("{token}":"ann, admin"))'\n""",
        ),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "sigmasight token revoke ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            "{token}\tann, admin\n",
        ),
    ],
)
def test_each_shell_is_answered_in_its_own_way(
    environment: dict[str, str], token: str, *, shell: str, variables: dict[str, str], expected: str
) -> None:
    asked = {**environment, **variables, "_SIGMASIGHT_COMPLETE": f"complete_{shell}"}
    done = run(["sigmasight"], asked, CHECKOUT)
    assert (done.stdout, done.stderr) == (expected.replace("{token}", token), "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers_values_with_words_on_them(environment: dict[str, str], token: str, tmp_path: Path) -> None:
    script = """
    sigmasight --show-completion | source
    complete -C "sigmasight token revoke "
    complete -C "sigmasight sta"
    """
    done = run(["fish", "--no-config", "-c", script], {**environment, "HOME": str(tmp_path)}, tmp_path)
    first, second = done.stdout.splitlines()
    assert first == f"{token}\tann, admin"
    assert second.startswith("status\tShow how things stand")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_a_command_and_a_value(environment: dict[str, str], token: str, tmp_path: Path) -> None:
    own = {**environment, "HOME": str(tmp_path), "PS1": "ready> "}
    with terminal("zsh", "-f", "-i", environment=own, directory=tmp_path) as shell:
        shell.wait_for("ready> ")
        shell.type('autoload -U compinit; compinit -u -D; eval "$(sigmasight --show-completion)"; echo set-$((1+1))\n')
        shell.wait_for("set-2")
        shell.type("sigmasight token rev\t")
        shell.wait_for("sigmasight token revoke")
        shell.type("\t")
        shell.wait_for(rf"sigmasight token revoke\W+{token}")
        shell.type("\x15exit\n")
        shell.wait()


def test_the_script_can_be_had_for_any_shell_and_installed(environment: dict[str, str], tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = run(["sigmasight"], {**environment, "_SIGMASIGHT_COMPLETE": f"source_{shell}"}, tmp_path)
        assert "_SIGMASIGHT_COMPLETE=complete_" + shell in done.stdout
    own = {**environment, "HOME": str(tmp_path)}
    done = run(["bash", "-c", "sigmasight --install-completion; true"], own, tmp_path)
    assert "bash completion installed" in done.stdout
    assert "_sigmasight_completion" in (tmp_path / ".bash_completions" / "sigmasight.sh").read_text()


def test_completion_loads_nothing_that_takes_long(environment: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom sigmasight_assets.cli import main\ntry:\n    main()\nfinally:\n"
        "    heavy = {'dagster', 'pandas', 'numpy', 'sqlalchemy', 'pyarrow', 'httpx', 'rich', 'alembic'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    asked = {**environment, "_SIGMASIGHT_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    # Without a URL the embedded server's is looked for, which is not there.
    asked |= {"COMP_WORDS": "sigmasight token revoke ", "SIGMASIGHT_DATABASE_URL": ""}
    done = run([sys.executable, "-c", script], asked, tmp_path)
    assert (done.stdout, done.stderr) == ("\n", "[]\n")


def test_the_embedded_server_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "")
    assert connection_address() is None
    Home.at(tmp_path).create()
    assert connection_address() is None
    (tmp_path / "postgres" / "port").write_text("5433")
    (tmp_path / "postgres" / "password").write_text("a/b@c %d")
    address = connection_address()
    assert address is not None
    expected = libpq_settings(EmbeddedPostgres(tmp_path).url())
    assert parse_dsn(address) == {name: str(value) for name, value in expected.items()}


def test_a_url_of_ones_own_is_taken_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:p%2Bq@127.0.0.1:5433/name?options=-csearch_path%3Da+-cjit%3Doff"
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", url)
    address = connection_address()
    assert address is not None
    assert parse_dsn(address)["options"] == "-csearch_path=a -cjit=off"
    assert parse_dsn(address)["password"] == "p+q"
