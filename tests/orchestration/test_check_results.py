"""What the UI shows of verdicts: the sessions that failed, their offenders, the limit, and what to do."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.orchestration.check_results import check_results, inline_table
from sigmasight_assets.orchestration.steps import SHOWN
from sigmasight_assets.storage.operations import Offender, Verdict
from tests.orchestration.deployments import rows_of_table

MON, TUE = date(2025, 6, 2), date(2025, 6, 3)
LIMIT = CHECK_FACTS["coverage"].limit.replace("`", "")


def verdict(session: date, check: str = "coverage", *, passed: bool, **options: Any) -> Verdict:
    return Verdict(check, session, passed, f"{check} of {session:%d %B}", **options)


def results(verdicts: Sequence[Verdict], selected: Sequence[str] = ("coverage",)) -> list[dg.AssetCheckResult]:
    assets = {"coverage": "metrics", "bars_valid": "betas"}
    keys = frozenset(dg.AssetCheckKey(dg.AssetKey(assets[name]), name) for name in selected)
    return list(check_results(verdicts, assets, selected=keys))


def shown(result: dg.AssetCheckResult) -> dict[str, Any]:
    """The metadata as plain values."""
    return {name: value.value for name, value in (result.metadata or {}).items()}


def test_the_failed_sessions_are_named_with_the_limit_and_what_to_do() -> None:
    verdicts = [verdict(MON, passed=True), verdict(TUE, passed=False), verdict(TUE, "bars_valid", passed=True)]
    coverage, valid = results(verdicts, ["coverage", "bars_valid"])
    assert (coverage.passed, coverage.check_name, coverage.asset_key) == (False, "coverage", dg.AssetKey("metrics"))
    assert coverage.severity == dg.AssetCheckSeverity.ERROR
    next_step = CHECK_FACTS["coverage"].next_step
    assert shown(coverage) == {
        "sessions": 2,
        "failed_sessions": 1,
        "limit": LIMIT,
        "2025-06-03": "coverage of 03 June",
    }
    assert coverage.description == (
        f"**1 of 2 sessions fails.**\n\n- 2025-06-03: coverage of 03 June\n\n**What to do**: {next_step}"
    )
    assert valid.passed


def test_of_good_sessions_the_newest_is_shown() -> None:
    (coverage,) = results([verdict(MON, passed=True), verdict(TUE, passed=True)])
    found = {"sessions": 2, "failed_sessions": 0, "limit": LIMIT, "2025-06-03": "coverage of 03 June"}
    assert shown(coverage) == found
    assert coverage.description == "2 sessions judged, none fails.\n\n- 2025-06-03: coverage of 03 June"


def test_a_single_session_and_none_are_told_in_words() -> None:
    (one,) = results([verdict(MON, passed=True)])
    assert str(one.description).startswith("1 session judged")
    (none,) = results([])
    assert (none.passed, none.description) == (True, "No session was judged.")


def test_severity_tells_warnings_from_what_blocks() -> None:
    warning = Verdict("coverage", MON, passed=False, detail="notable", is_blocking=False)
    (noted,) = results([warning, verdict(TUE, passed=True)])
    assert (noted.passed, noted.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert shown(noted)["2025-06-02"] == "notable"
    (blocked,) = results([warning, verdict(TUE, passed=False)])
    assert blocked.severity == dg.AssetCheckSeverity.ERROR


def test_offenders_are_listed_newest_session_first_with_why_and_numbers() -> None:
    gone, late = Offender("GONE", "delisted?", "newest bar 2025-05-01"), Offender("LATE", "no bar", "none")
    verdicts = [
        verdict(MON, passed=False, offenders=(gone, late), offender_count=32),
        verdict(TUE, passed=False, offenders=(late,), offender_count=1),
    ]
    (coverage,) = results(verdicts)
    metadata = dict(coverage.metadata or {})
    assert metadata["offenders_in_all"].value == 33
    assert rows_of_table(metadata["offenders"]) == [
        ["2025-06-03", "LATE", "no bar", "none"],
        ["2025-06-02", "GONE", "delisted?", "newest bar 2025-05-01"],
        ["2025-06-02", "LATE", "no bar", "none"],
    ]


def test_offenders_of_a_session_that_passes_are_not_offenders() -> None:
    late = Offender("LATE", "no bar", "none")
    (coverage,) = results([verdict(MON, passed=True, offenders=(late,), offender_count=1)])
    assert "offenders" not in shown(coverage)


def test_at_most_fifty_sessions_and_rows_are_shown() -> None:
    days = [date.fromordinal(MON.toordinal() + offset) for offset in range(60)]
    offender = Offender("A", "b", "c")
    (coverage,) = results([verdict(day, passed=False, offenders=(offender,), offender_count=1) for day in days])
    metadata = dict(coverage.metadata or {})
    assert len([name for name in metadata if name.startswith("2025-")]) == SHOWN
    assert metadata["failed_sessions"].value == 60
    assert len(rows_of_table(metadata["offenders"])) == SHOWN
    assert metadata["offenders_in_all"].value == 60
    assert "- and 57 more" in str(coverage.description)


def test_a_table_says_its_columns_and_takes_anything_as_words() -> None:
    table = inline_table(("when", "n"), [(MON, 3)])
    assert [item.name for item in table.schema.columns] == ["when", "n"]
    assert rows_of_table(table) == [["2025-06-02", "3"]]
