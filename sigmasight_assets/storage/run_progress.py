"""How far the running step of a run has come, by what it has stored so far."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from sigmasight_assets.storage.ledger_tables import batch_runs, publications
from sigmasight_assets.storage.tables import symbol_universe

PRICES = "symbol_prices"
# The steps that publish, and the layer of each.
LAYERS = {"symbol_products": "symbol", "portfolio_products": "portfolio"}


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A step under way.

    ``done`` counts what is stored of it: symbols that have been asked for, of all ``symbols`` that are tracked, or
    sessions that it has published. It is None where a step leaves no trace before its end.
    """

    kind: str
    first_session: date
    last_session: date
    done: int | None
    symbols: int


def read_step_progress(connection: sa.Connection, run_id: str) -> StepProgress | None:
    """The newest running step of the run; None while there is none."""
    steps = batch_runs.c
    query = sa.select(steps.kind, steps.first_session, steps.last_session, steps.started_at)
    query = query.where(steps.run_id == run_id, steps.status == "running").order_by(steps.started_at.desc()).limit(1)
    step = connection.execute(query).first()
    if step is None:
        return None
    symbols = connection.execute(sa.select(sa.func.count()).select_from(symbol_universe)).scalar_one()
    done = None
    if step.kind == PRICES:
        done = _asked_for(connection, symbols, last=step.last_session, since=step.started_at)
    elif step.kind in LAYERS:
        ledger = publications.c
        published = sa.select(sa.func.count(ledger.session.distinct())).where(
            ledger.run_id == run_id,
            ledger.layer == LAYERS[step.kind],
            ledger.published_at >= step.started_at,
            # One without products is that of slices under way.
            sa.func.cardinality(ledger.products) > 0,
        )
        done = connection.execute(published).scalar_one()
    return StepProgress(step.kind, step.first_session, step.last_session, done, symbols)


def _asked_for(connection: sa.Connection, symbols: int, *, last: date, since: datetime) -> int | None:
    """Symbols that a market which is asked for one at a time has answered for, else those with the newest price.

    None when every symbol had that before: then prices of earlier sessions are asked for.
    """
    tracked = symbol_universe.c
    noted, answered, priced = connection.execute(
        sa.select(
            sa.func.count(tracked.answered_at),
            sa.func.count().filter(tracked.answered_at >= since),
            sa.func.count().filter(tracked.last_price_date >= last),
        )
    ).one()
    if noted:
        return int(answered)
    return None if priced == symbols else int(priced)
