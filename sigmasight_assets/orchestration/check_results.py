"""Verdicts as Dagster shows them: what failed, for whom with which numbers, the limit, and what to do next."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.orchestration.steps import SHOWN
from sigmasight_assets.storage.operations import Verdict

# Sessions that the text of a result tells of; the others are in its metadata.
TOLD_SESSIONS = 3


def check_results(
    verdicts: Sequence[Verdict], assets: Mapping[str, str], *, selected: frozenset[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult]:
    """One result per check for the whole range; it names the sessions that failed and their offenders.

    ``assets`` maps each check to the asset it is shown on.
    """
    for check, asset in assets.items():
        if dg.AssetCheckKey(dg.AssetKey(asset), check) in selected:
            yield _result(check, asset, [item for item in verdicts if item.check == check])


def inline_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.TableMetadataValue:
    """A table of words, at most 50 rows: unlike Markdown, the page of a check shows it without a click."""
    schema = dg.TableSchema([dg.TableColumn(name, type="string") for name in header])
    records = [dg.TableRecord(dict(zip(header, map(str, row), strict=True))) for row in rows[:SHOWN]]
    return dg.MetadataValue.table(records=records, schema=schema)


def _result(check: str, asset: str, of_check: Sequence[Verdict]) -> dg.AssetCheckResult:
    failed = [item for item in of_check if not item.passed]
    only_warnings = bool(failed) and not any(item.is_blocking for item in failed)
    shown = failed or of_check[-1:]
    return dg.AssetCheckResult(
        passed=not failed,
        check_name=check,
        asset_key=asset,
        severity=dg.AssetCheckSeverity.WARN if only_warnings else dg.AssetCheckSeverity.ERROR,
        description=_description(check, of_check, failed, shown),
        metadata={
            "sessions": len(of_check),
            "failed_sessions": len(failed),
            **_offenders(failed),
            # Text is shown as it is, unlike the description, which tells what to do.
            "limit": CHECK_FACTS[check].limit.replace("`", ""),
            **{str(item.session): item.detail for item in shown[:SHOWN]},
        },
    )


def _description(check: str, of_check: Sequence[Verdict], failed: Sequence[Verdict], shown: Sequence[Verdict]) -> str:
    """Markdown, which is the first thing that people read of a result."""
    sessions = f"{len(of_check)} session{'' if len(of_check) == 1 else 's'}"
    told = "\n".join(f"- {item.session}: {item.detail}" for item in shown[:TOLD_SESSIONS])
    if not failed:
        return f"{sessions} judged, none fails.\n\n{told}" if of_check else "No session was judged."
    more = f"\n- and {len(failed) - TOLD_SESSIONS} more" if len(failed) > TOLD_SESSIONS else ""
    verb, to_do = "fails" if len(failed) == 1 else "fail", CHECK_FACTS[check].next_step
    return f"**{len(failed)} of {sessions} {verb}.**\n\n{told}{more}\n\n**What to do**: {to_do}"


def _offenders(failed: Sequence[Verdict]) -> dict[str, dg.MetadataValue]:
    """Who kept the sessions from passing, newest session first, and how many there are in all."""
    total = sum(item.offender_count for item in failed)
    if not total:
        return {}
    rows = [
        (item.session, each.name, each.reason, each.measured)
        for item in sorted(failed, key=lambda item: item.session, reverse=True)
        for each in item.offenders
    ]
    return {
        "offenders_in_all": dg.MetadataValue.int(total),
        "offenders": inline_table(("session", "who", "why", "numbers"), rows),
    }
