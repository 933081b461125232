"""``sigmasight status``: how things stand, what is failed and how it is mended, sessions, and what happens next."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigmasight_assets.commands.common import DONE_WITH_GAPS, Json, open_database
from sigmasight_assets.commands.output import show_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from sigmasight_assets.commands.status_services import ServicesStatus
    from sigmasight_assets.operations.status import SessionStatus, SystemStatus

SESSIONS = 10


def status(
    sessions: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help=f"How many sessions to show; default: {SESSIONS}, or what fits the screen."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how things stand, what is failed right now and how it is mended, and what happens next.

    Ends with 0 when everything is current or in time, with 3 when something is late or failing.
    """
    from sigmasight_assets.commands.status_screen import show_status
    from sigmasight_assets.commands.status_services import read_services
    from sigmasight_assets.operations.status import read_status
    from sigmasight_assets.operations.verdict import judge
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.publications import read_published_sessions

    settings = load_settings()
    with open_database(settings) as database:
        found = read_status(database, clock=settings.clock(), pause=settings.retry_pause, sessions=sessions or SESSIONS)
        first = min(item.session for item in found.sessions)
        with database.begin() as connection:
            published = read_published_sessions(connection, since=first)
    products = {day: item.products for day, item in published.items()}
    services = read_services(settings)
    if as_json:
        show_json(as_document(found, products=products, services=services))
    else:
        show_status(found, products=products, services=services, sessions=sessions)
    if judge(found).has_gaps:
        raise typer.Exit(DONE_WITH_GAPS)


def as_document(
    found: "SystemStatus",
    *,
    products: "Mapping[date, frozenset[str]] | None" = None,
    services: "ServicesStatus | None" = None,
) -> dict[str, Any]:
    """The status for programs; ``items`` are the sessions, with the ``products`` that each has published."""
    from dataclasses import asdict

    from sigmasight_assets.operations.verdict import judge

    verdict = judge(found)
    items = [_session(item, (products or {}).get(item.session, frozenset())) for item in found.sessions]
    return {
        "clock": found.clock,
        "verdict": {**asdict(verdict), "has_gaps": verdict.has_gaps},
        "items": items,
        "total": len(items),
        "running": [asdict(run) for run in found.running],
        "runs": [asdict(run) for run in found.runs],
        "failed_now": [asdict(item) for item in found.failures],
        "freshness": [asdict(item) for item in found.freshness],
        "onboarding": [asdict(item) for item in found.onboarding],
        "alerts_undelivered": found.alerts_undelivered,
        "services": None if services is None else asdict(services),
        "next": found.next_snapshots,
        "next_symbols": found.next_symbols,
    }


def _session(item: "SessionStatus", products: frozenset[str]) -> dict[str, Any]:
    from dataclasses import asdict

    coverage = None if item.coverage is None else f"{item.coverage:.2%}"
    return {**asdict(item), "coverage": coverage, "products": sorted(products)}
