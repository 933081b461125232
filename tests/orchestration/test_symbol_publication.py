"""Publication of the symbol products: what is written, what stays, what is refused, and when a generation is taken."""

import json
import re
import threading
from datetime import date

import psycopg2
import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.orchestration import symbol_slices
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import CHANNEL, SYMBOL_PRODUCTS
from sigmasight_assets.storage.universe import import_listings
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    assert_same_figures,
    changed_keys,
    contents,
    execute,
    rows_of,
)
from tests.orchestration.markets import FLAT, HALTED, LATE, UNKNOWN, YOUNG, stock
from tests.orchestration.symbol_runs import (
    FIGURE_TABLES,
    PRODUCT_TABLES,
    at,
    delete_bars,
    figures,
    generations,
    publish,
)
from tests.storage.onboarding_queue import ask, claimed, failed

BAD = TARGETS[5]
TOO_FEW = f"71 of 73 active symbols have a bar (97.26%), 98.00% needed; tracked but without any data: {UNKNOWN}"


def test_first_publication_is_one_generation_with_a_ledger_row_per_session(priced: Database) -> None:
    outcome = publish(priced, run_id="first")
    assert outcome.published == TARGETS
    assert outcome.failed == []
    assert outcome.generation == 1
    ledger = rows_of(priced, "SELECT * FROM publications ORDER BY session")
    assert [row["session"] for row in ledger] == TARGETS
    assert {(row["generation"], row["layer"], row["run_id"]) for row in ledger} == {(1, "symbol", "first")}
    assert {tuple(row["products"]) for row in ledger} == {SYMBOL_PRODUCTS}
    for row in ledger:
        for product, table in PRODUCT_TABLES.items():
            name = "metrics_date" if table == "symbol_daily_metrics" else "session"
            sql = f"SELECT count(*) AS rows, max(generation) AS newest FROM {table} WHERE {name} = :day"
            stored = rows_of(priced, sql, day=row["session"])[0]
            assert (row["counts"][product], 1) == (stored["rows"], stored["newest"])
        assert row["rows_written"] == sum(row["counts"].values())
    coverage = {row["session"]: row["coverage"] for row in ledger}
    assert coverage[TARGETS[0]] == 1.0
    assert coverage[TARGETS[7]] == pytest.approx(72 / 73)
    assert outcome.coverage == [coverage[day] for day in TARGETS]
    assert generations(priced) == dict.fromkeys(TARGETS, 1)


def test_counts_of_the_outcome(priced: Database) -> None:
    outcome = publish(priced)
    for product, table in PRODUCT_TABLES.items():
        rows = rows_of(priced, f"SELECT count(*) AS rows FROM {table}")[0]["rows"]
        assert outcome.rows_present[product] == outcome.rows_computed[product] == rows
    reasons = rows_of(
        priced, "SELECT product, reason, count(*) AS cells FROM symbol_exclusions GROUP BY product, reason"
    )
    found = {(product, reason): cells for product, each in outcome.exclusions.items() for reason, cells in each.items()}
    assert found == {(row["product"], row["reason"]): row["cells"] for row in reasons}
    assert found["market_beta", "no_data_from_source"] == len(TARGETS)


def test_universe_remembers_the_newest_session_with_figures(published: Database) -> None:
    dates = {row["symbol"]: row["last_factor_date"] for row in rows_of(published, "SELECT * FROM symbol_universe")}
    assert dates["SPY"] == dates[YOUNG] == dates[HALTED] == TARGETS[-1]
    assert dates[FLAT] is dates[LATE] is dates[UNKNOWN] is None
    publish(published, TARGETS[:2], force=True)
    again = {row["symbol"]: row["last_factor_date"] for row in rows_of(published, "SELECT * FROM symbol_universe")}
    assert again == dates


@pytest.mark.fault(14)
def test_rerun_takes_no_generation_and_changes_no_row(published: Database) -> None:
    before = contents(published, SYMBOL_TABLES)
    outcome = publish(published)
    assert outcome.generation is None
    assert outcome.published == TARGETS
    assert sum(outcome.rows_computed.values()) == 0
    assert outcome.rows_present["market_beta"] == len(before["symbol_market_beta"])
    assert contents(published, SYMBOL_TABLES) == before


def test_listeners_are_told_the_generation_after_it_is_visible(published: Database) -> None:
    listener = psycopg2.connect(sa.make_url(published.url).set(drivername="postgresql").render_as_string(False))
    listener.autocommit = True
    with listener.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
        publish(published)
        listener.poll()
        assert listener.notifies == []
        generation = publish(published, TARGETS[:1], force=True).generation
        cursor.execute("SELECT max(generation) FROM publications")
        assert [item.payload for item in listener.notifies] == [str(generation)]
        assert cursor.fetchone() == (generation,)
    listener.close()


def test_a_single_session_equals_the_same_session_inside_a_range(request: pytest.FixtureRequest) -> None:
    whole = figures(request.getfixturevalue("published"))
    priced = request.getfixturevalue("priced")
    publish(priced, [TARGETS[7]])
    alone = at(figures(priced), TARGETS[7])
    assert_same_figures(alone, at(whole, TARGETS[7]))
    assert len(alone["symbol_market_beta"]) > 68


@pytest.mark.parametrize(("setting", "value", "slices"), [("SLICE_SESSIONS", 5, 3), ("SLICE_CELLS", 4 * 74, 3)])
def test_slices_do_not_change_results(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, setting: str, value: int, slices: int
) -> None:
    whole = figures(request.getfixturevalue("published"))
    priced = request.getfixturevalue("priced")
    monkeypatch.setattr(symbol_slices, setting, value)
    outcome = publish(priced)
    assert (outcome.generation, outcome.published) == (slices, TARGETS)
    assert_same_figures(figures(priced), whole)


def test_sessions_need_not_be_contiguous(published: Database) -> None:
    before = contents(published, FIGURE_TABLES)
    publish(published, [TARGETS[0], TARGETS[6]], force=True)
    after = contents(published, FIGURE_TABLES)
    for table in FIGURE_TABLES:
        assert {key[0] for key in changed_keys(before, after, table)} == {TARGETS[0], TARGETS[6]}


def test_force_writes_everything_again(published: Database) -> None:
    before, content = contents(published, SYMBOL_TABLES), figures(published)
    outcome = publish(published, force=True)
    after = contents(published, SYMBOL_TABLES)
    assert outcome.generation == 2
    assert figures(published) == content
    for table in (*FIGURE_TABLES, "factor_covariances"):
        assert changed_keys(before, after, table) == set(before[table])
    assert generations(published) == dict.fromkeys(TARGETS, 2)


@pytest.mark.parametrize(
    ("missing", "check", "words"),
    [
        (("SPY",), "factor_etfs_priced", "no bar of SPY"),
        (("QUAL",), "factor_etfs_priced", "no bar of QUAL"),
        (
            (FLAT, YOUNG),
            "coverage",
            f"{TOO_FEW}; without: {FLAT}, {YOUNG}",
        ),
    ],
    ids=["SPY missing", "another factor fund missing", "below the coverage"],
)
def test_failing_session_of_a_range_stays_as_it_was(
    published: Database, missing: tuple[str, ...], check: str, words: str
) -> None:
    before = contents(published, SYMBOL_TABLES)
    delete_bars(published, BAD, *missing)
    outcome = publish(published)
    after = contents(published, SYMBOL_TABLES)
    good = [day for day in TARGETS if day != BAD]
    assert (outcome.published, outcome.failed) == (good, [BAD])
    assert [(item.session, item.check, item.detail) for item in outcome.failures] == [(BAD, check, words)]
    assert outcome.generation == 2
    assert at(after, BAD) == at(before, BAD)
    assert {day: generation for day, generation in generations(published).items() if generation == 2} == dict.fromkeys(
        TARGETS[6:], 2
    )
    for table in FIGURE_TABLES:
        assert {key[0] for key in changed_keys(before, after, table)} == set(TARGETS[6:])
    judged = rows_of(published, "SELECT * FROM data_quality_results WHERE run_id = 'second'")
    assert len(judged) == 5 * len(TARGETS)
    assert [(row["session"], row["check_name"], row["detail"]) for row in judged if not row["passed"]] == [
        (BAD, check, words)
    ]
    assert {row["layer"] for row in judged} == {"symbol"}


def test_failing_session_that_was_never_published_has_nothing(priced: Database) -> None:
    find_bar = "SELECT * FROM symbol_prices_daily WHERE symbol = 'SPY' AND price_date = :day"
    bar = rows_of(priced, find_bar, day=BAD)[0]
    delete_bars(priced, BAD, "SPY")
    outcome = publish(priced)
    assert outcome.failed == [BAD]
    assert set(generations(priced)) == set(TARGETS) - {BAD}
    assert not any(rows for rows in at(figures(priced), BAD).values())
    # With its bar back, the session is published, and so are those whose windows hold it.
    values = ", ".join(f":{name}" for name in bar)
    execute(priced, f"INSERT INTO symbol_prices_daily ({', '.join(bar)}) VALUES ({values})", **bar)
    assert publish(priced).failed == []
    assert generations(priced) == {day: 1 if day < BAD else 2 for day in TARGETS}


def test_failed_sessions_do_not_count_as_fresh(published: Database) -> None:
    delete_bars(published, BAD, "SPY")
    outcome = publish(published, TARGETS[:6])
    good = [key for key in contents(published, FIGURE_TABLES)["symbol_market_beta"] if key[0] in TARGETS[:5]]
    assert outcome.rows_present["market_beta"] == len(good)
    assert outcome.rows_present["factor_covariances"] == 5


def test_a_range_without_a_good_session_publishes_nothing(published: Database) -> None:
    before = contents(published, SYMBOL_TABLES)
    for day in TARGETS[:2]:
        delete_bars(published, day, "SPY")
    outcome = publish(published, TARGETS[:2])
    assert (outcome.published, outcome.failed, outcome.generation) == ([], TARGETS[:2], None)
    assert contents(published, SYMBOL_TABLES) == before


def test_symbol_that_the_source_never_answered_for_lowers_the_coverage(priced: Database) -> None:
    with priced.begin() as connection:
        import_listings(connection, [stock("WAIT1"), stock("WAIT2")])
    outcome = publish(priced, TARGETS[:1])
    assert outcome.failed == TARGETS[:1]
    assert outcome.failures[0].detail.endswith("without: WAIT1, WAIT2")


def test_tickers_that_owners_asked_for_in_vain_stop_no_session(priced: Database) -> None:
    mistyped = ["TYPO1", "TYPO2", "TYPO3"]
    with priced.begin() as connection:
        import_listings(connection, list(map(stock, mistyped)))
    execute(priced, "UPDATE symbol_universe SET status = 'error' WHERE symbol LIKE 'TYPO%'")
    outcome = publish(priced, TARGETS[:1])
    assert outcome.failed == TARGETS[:1]
    assert outcome.failures[0].detail.endswith(", ".join([UNKNOWN, *mistyped]))
    ask(priced, *mistyped)
    claimed(priced, run_id="onboarding")
    failed(priced, "onboarding", is_final=True, **dict.fromkeys(mistyped, "no such ticker"))
    assert publish(priced, TARGETS[:1]).published == TARGETS[:1]


def test_one_product_alone_is_published_the_same_way(request: pytest.FixtureRequest) -> None:
    whole = figures(request.getfixturevalue("published"))
    priced = request.getfixturevalue("priced")
    outcome = publish(priced, products=("market_beta",))
    assert outcome.generation == 1
    assert +outcome.rows_computed == {"market_beta": outcome.rows_computed["market_beta"]}
    assert +outcome.rows_present == outcome.rows_computed
    assert set(outcome.exclusions) == {"market_beta"}
    alone = figures(priced)
    assert {table for table, rows in alone.items() if rows} == {
        "symbol_market_beta",
        "symbol_exclusions",
        "symbol_universe",
    }
    assert {key[2] for key in alone["symbol_exclusions"]} == {"market_beta"}
    assert {tuple(row["products"]) for row in rows_of(priced, "SELECT products FROM publications")} == {
        ("market_beta",)
    }
    assert generations(priced) == {}
    publish(priced, products=[name for name in SYMBOL_PRODUCTS if name not in ("market_beta", "factor_covariances")])
    assert generations(priced) == {}
    publish(priced, TARGETS[:3], products=("factor_covariances",))
    assert generations(priced) == dict.fromkeys(TARGETS[:3], 3)
    publish(priced, TARGETS[3:], products=("factor_covariances",))
    assert generations(priced) == {day: 3 if day in TARGETS[:3] else 4 for day in TARGETS}
    assert_same_figures(figures(priced), whole)


def test_session_with_too_little_history_for_a_covariance_is_complete_without_it(
    priced: Database, calendar: SessionCalendar
) -> None:
    early = calendar.between(date(2024, 5, 1), date(2024, 5, 2))
    outcome = publish(priced, early)
    assert outcome.failed == []
    assert generations(priced) == dict.fromkeys(early, 1)
    assert rows_of(priced, "SELECT * FROM factor_covariances") == []
    assert outcome.rows_present["spread_factors"] == 0
    assert {row["quality"] for row in rows_of(priced, "SELECT quality FROM symbol_market_beta")} == {"limited"}
    assert publish(priced, early).generation is None


def test_product_without_any_row_counts_as_published(priced: Database, calendar: SessionCalendar) -> None:
    early = calendar.between(date(2024, 5, 1), date(2024, 5, 1))
    publish(priced, early, products=[name for name in SYMBOL_PRODUCTS if name != "factor_covariances"])
    assert generations(priced) == {}
    assert publish(priced, early, products=["factor_covariances"]).generation == 2
    assert generations(priced) == {early[0]: 2}


def test_unstable_betas_are_not_published(published: Database) -> None:
    """The betas of the session before, shifted, make the next one look as if all had jumped."""
    execute(
        published, "UPDATE symbol_market_beta SET beta = greatest(-5, beta - 0.3) WHERE session = :day", day=TARGETS[2]
    )
    before = contents(published, SYMBOL_TABLES)
    outcome = publish(published, TARGETS[3:5], force=True)
    assert outcome.failed == TARGETS[3:5]
    assert {item.check for item in outcome.failures} == {"market_beta_stable"}
    assert re.search(r"median move 0\.(29|30)", outcome.failures[0].detail)
    assert contents(published, SYMBOL_TABLES) == before


def test_betas_are_compared_with_the_newest_published_session(published: Database) -> None:
    """The session before may be one that could not be published."""
    execute(published, "DELETE FROM symbol_market_beta WHERE session >= :day", day=TARGETS[3])
    sql = "UPDATE symbol_market_beta SET beta = greatest(-5, beta - 0.3) WHERE session = :day"
    execute(published, sql, day=TARGETS[2])
    assert publish(published, TARGETS[4:5]).failed == TARGETS[4:5]


def test_notable_move_is_a_warning_and_published(published: Database) -> None:
    sql = "UPDATE symbol_market_beta SET beta = greatest(-5, beta - 0.15) WHERE session = :day"
    execute(published, sql, day=TARGETS[2])
    outcome = publish(published, TARGETS[3:5], force=True)
    assert (outcome.published, outcome.failures) == (TARGETS[3:5], [])
    noted = rows_of(published, "SELECT session, is_blocking FROM data_quality_results WHERE NOT passed")
    assert noted == [{"session": TARGETS[3], "is_blocking": False}]


def test_untracked_factor_funds_are_an_error_and_change_nothing(database: Database) -> None:
    with pytest.raises(MarketDataError, match="factor ETFs SPY, TLT, VTV, VUG, MTUM, QUAL, IWM, USMV are not tracked"):
        publish(database)
    assert rows_of(database, "SELECT * FROM publications") == []


def test_an_error_during_the_write_leaves_the_old_publication_whole(
    published: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(published, SYMBOL_TABLES)

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(symbol_slices, "record_publications", full)
    with pytest.raises(OSError, match="No space left"):
        publish(published, force=True)
    assert contents(published, SYMBOL_TABLES) == before


def test_two_runs_at_once_publish_once(priced: Database) -> None:
    outcomes: list[SymbolPublication] = []
    barrier = threading.Barrier(2)

    def run(name: str) -> None:
        database = Database(priced.url)
        barrier.wait()
        outcomes.append(publish(database, run_id=name))
        database.close()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(outcome.generation) for outcome in outcomes) == ["1", "None"]
    assert len({row["run_id"] for row in rows_of(priced, "SELECT run_id FROM publications")}) == 1


def test_ledger_counts_are_plain_numbers(published: Database) -> None:
    for row in rows_of(published, "SELECT counts::text AS counts FROM publications"):
        assert all(isinstance(count, int) for count in json.loads(row["counts"]).values())
