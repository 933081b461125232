"""Publish the symbol products of a range: first what has changed behind published sessions, then the asked sessions.

No Dagster here; the assets in ``assets.symbol_products`` call this. A slice of sessions is in ``symbol_slices``, what
was marked as changed in ``symbol_invalidations``.
"""

from collections.abc import Sequence
from datetime import date

from sigmasight_assets.orchestration.symbol_invalidations import settle_invalidations
from sigmasight_assets.orchestration.symbol_ledger import CLOSES
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_slices import PublicationRun, publish_slice, slices
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding_claims import complete_published, fail_refused
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS


def publish_symbol_products(
    database: Database,
    calendar: SessionCalendar,
    *,
    sessions: Sequence[date],
    products: Sequence[str] = SYMBOL_PRODUCTS,
    min_coverage: float,
    run_id: str,
    force: bool = False,
) -> SymbolPublication:
    """Bring the chosen products of the sessions up to date; sessions that fail a check stay as they were.

    Rows whose fingerprint is stored already are not computed again (unless ``force``), and a range in which nothing
    differs takes no generation. Where closes are among the products, symbols marked as changed are republished first,
    in every session that was published before: closes of one symbol are never in the units of two sides of a split.
    """
    run = PublicationRun(database, calendar, min_coverage, run_id)
    outcome = SymbolPublication(times=run.times)
    for part in slices(database, sessions):
        done = None
        while done is None:
            if CLOSES in products:
                settle_invalidations(run, outcome)
            known_marks = outcome.unsettled if CLOSES in products else None
            done = publish_slice(run, part, products=products, force=force, known_marks=known_marks)
        outcome.add(done)
    if CLOSES in products:
        # What was asked for meanwhile and has come with this run needs no run of its own.
        with database.begin() as connection:
            complete_published(connection, run_id=run_id)
            fail_refused(connection, run_id=run_id)
    return outcome
