"""The pictures of a run, by asset, session and name. A picture that cannot be drawn never fails what was published."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import wraps
from typing import ParamSpec, TypeVar

from sigmasight_assets.errors import StorageError
from sigmasight_assets.orchestration import picture_data, pictures
from sigmasight_assets.orchestration.picture_data import BySession
from sigmasight_assets.orchestration.pictures import Named
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tables import FACTOR_COLUMNS, RIDGE_COLUMNS, SPREAD_COLUMNS
from sigmasight_assets.storage.universe import read_universe

logger = logging.getLogger(__name__)

P = ParamSpec("P")
K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
# Markdown by session and name.
Drawn = dict[date, dict[str, str]]
HISTOGRAMS = ("market_beta", "ir_beta")
# Sessions that fit beside each other.
STRIP_SESSIONS = 120
FACTOR_LABELS = {"ridge_factors": RIDGE_COLUMNS, "spread_factors": SPREAD_COLUMNS}
# So few factors make a picture that the UI shows at once.
EXPOSURES = {f"exposures_{part + 1}_of_3": slice(4 * part, 4 * part + 4) for part in range(3)}


def _harmless(draw: Callable[P, dict[K, V]]) -> Callable[P, dict[K, V]]:
    """No pictures, and a line in the log, when they cannot be drawn for whatever reason."""

    @wraps(draw)
    def drawn(*arguments: P.args, **options: P.kwargs) -> dict[K, V]:
        try:
            return draw(*arguments, **options)
        except StorageError as error:
            logger.warning("No picture was drawn: %s", error)
        except Exception:
            logger.warning("No picture was drawn", exc_info=True)
        return {}

    return drawn


@_harmless
def draw_betas(
    database: Database, products: Sequence[str], sessions: Sequence[date], *, symbols: int
) -> dict[str, Drawn]:
    """Distributions of the published betas of each product against the session before."""
    chosen = picture_data.drawn_sessions(sessions, rows_each=symbols)
    drawable = [product for product in products if product in (*HISTOGRAMS, *FACTOR_LABELS)]

    def draw(transaction: BulkTransaction) -> dict[str, Drawn]:
        read = {product: picture_data.read_betas(transaction, product, chosen) for product in drawable}
        return {
            product: _by_session(of, chosen, "distribution", _beta_picture(product)) for product, of in read.items()
        }

    return _drawn(database, draw) if chosen else {}


@_harmless
def draw_covariances(database: Database, sessions: Sequence[date]) -> Drawn:
    """Correlations of the factor ETFs."""
    chosen = picture_data.drawn_sessions(sessions, rows_each=1)

    def draw(transaction: BulkTransaction) -> Drawn:
        return _by_session(picture_data.read_covariances(transaction, chosen), chosen, "correlations", _correlations)

    return _drawn(database, draw) if chosen else {}


@_harmless
def draw_coverage(active: Mapping[date, int], present: Mapping[date, Mapping[str, int]], *, needed: float) -> Drawn:
    """How many active symbols have a row, by product; with the newest session, of all sessions of the run."""
    sessions = sorted(present)
    drawn: Drawn = {
        day: {"coverage": pictures.coverage_bars(day, active[day], present[day])}
        for day in picture_data.drawn_sessions(sessions, rows_each=1)
    }
    if len(sessions) > 1:
        shares = {
            day: {name: count / max(1, active[day]) for name, count in present[day].items()}
            for day in sessions[-STRIP_SESSIONS:]
        }
        drawn[sessions[-1]]["coverage_of_the_run"] = pictures.coverage_strip(shares, needed)
    return drawn


@_harmless
def draw_prices(database: Database, calendar: SessionCalendar, sessions: Sequence[date]) -> Drawn:
    """Moves of all prices since the session before."""
    with database.begin() as connection:
        symbols = len(read_universe(connection))
    chosen = picture_data.drawn_sessions(sessions, rows_each=symbols)
    needed = [*(calendar.offset(day, -back) for day in chosen[:1] for back in (2, 1)), *chosen]

    def draw(transaction: BulkTransaction) -> Drawn:
        read = picture_data.read_total_return_prices(transaction, needed)
        drawn: Drawn = {}
        for at, day in enumerate(needed[2:], start=2):
            now, before, earlier = (read.get(needed[place]) for place in (at, at - 1, at - 2))
            found = pictures.price_moves(now, before, earlier) if now is not None else None
            if found is not None:
                drawn[day] = {"moves": found}
        return drawn

    return _drawn(database, draw) if chosen else {}


@_harmless
def draw_portfolios(database: Database, sessions: Sequence[date]) -> dict[str, Drawn]:
    """Returns, the best and the worst, and exposures of the portfolios, of a sample where there are very many."""
    return _drawn(database, lambda transaction: _portfolios(transaction, sessions)) if sessions else {}


def _portfolios(transaction: BulkTransaction, sessions: Sequence[date]) -> dict[str, Drawn]:
    ids, sampled = picture_data.sample_portfolios(transaction)
    chosen = picture_data.drawn_sessions(sessions, rows_each=len(ids))
    previous = picture_data.previous_snapshots(transaction, chosen[0])
    needed = [*([previous] if previous else []), *chosen]
    returns = picture_data.read_returns(transaction, ids, needed)
    exposures = picture_data.read_exposures(transaction, ids, needed)

    def distribution(now: Named, before: Named | None) -> str | None:
        return pictures.portfolio_returns(now, before, sampled=sampled)

    def extremes(now: Named, _: Named | None) -> str | None:
        return pictures.best_and_worst(now, sampled=sampled)

    def factors(columns: slice) -> Picture:
        labels = FACTOR_COLUMNS[columns]
        return lambda now, before: pictures.factor_ranges(
            "portfolios", labels, now, before, columns=columns, sampled=sampled
        )

    return {
        "portfolio_snapshots": _merged(
            _by_session(returns, chosen, "returns", distribution),
            _by_session(returns, chosen, "best_and_worst", extremes),
        ),
        "portfolio_factor_exposures": _merged(
            *(_by_session(exposures, chosen, name, factors(columns)) for name, columns in EXPOSURES.items())
        ),
    }


Picture = Callable[[Named, Named | None], str | None]


def _beta_picture(product: str) -> Picture:
    if product in HISTOGRAMS:
        return pictures.beta_histogram
    labels = FACTOR_LABELS[product]
    return lambda now, before: pictures.factor_ranges("symbols", labels, now, before)


def _correlations(now: Named, before: Named | None) -> str:
    return pictures.correlations(now.session, now.names, now.values, before.values if before is not None else None)


def _by_session(read: BySession, chosen: Sequence[date], name: str, picture: Picture) -> Drawn:
    """A picture of each chosen session beside the one read before it; sessions without any are left out."""
    days, drawn = sorted(read), Drawn()
    for at, day in enumerate(days):
        found = picture(read[day], read[days[at - 1]] if at else None) if day in chosen else None
        if found is not None:
            drawn[day] = {name: found}
    return drawn


def _merged(*drawn: Drawn) -> Drawn:
    days = {day for each in drawn for day in each}
    return {day: {name: each[day][name] for each in drawn if day in each for name in each[day]} for day in days}


def _drawn(database: Database, draw: Callable[[BulkTransaction], T]) -> T:
    with database.bulk(read_only=True) as transaction:
        return draw(transaction)
