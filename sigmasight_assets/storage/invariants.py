"""What has to hold of the tables at any time, found by the tables alone; each query tells what breaks it.

Every publication judges what it writes before it commits. These queries look at what is there, whoever wrote it: a
restored dump, a hand in the database, a fault that nobody has thought of.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import sqlalchemy as sa

from sigmasight_assets.quant.factors import BETA_CAP, FACTORS
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.deadline import Deadline
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import RIDGE_COLUMNS, SPREAD_COLUMNS

# Of each product, and of what else has a date, the table and its column.
DATED = {
    "symbol_prices_daily": "price_date",
    "symbol_daily_metrics": "metrics_date",
    **dict.fromkeys(
        (
            *("symbol_market_beta", "symbol_ir_beta", "symbol_ridge_factors", "symbol_spread_factors"),
            *("factor_covariances", "symbol_exclusions", "portfolio_snapshots", "portfolio_lot_values"),
            *("portfolio_exposures", "publications"),
        ),
        "session",
    ),
}
TABLES = {product: product if product in DATED else f"symbol_{product}" for product in SYMBOL_PRODUCTS}
LEAST = {factor.estimator: factor.min_observations for factor in FACTORS if len(factor.proxies) == 1}
LEAST_OF_SPREADS = min(factor.min_observations for factor in FACTORS if len(factor.proxies) == 2)

# Null looks at everything.
OF_DAYS = "(CAST(:days AS date[]) IS NULL OR {} = ANY(CAST(:days AS date[])))"
SINCE = "(CAST(:since AS date) IS NULL OR {} >= CAST(:since AS date))"
SOME_PORTFOLIOS = (
    "(CAST(:portfolios AS bigint) IS NULL OR portfolio_id IN "
    "(SELECT portfolio_id FROM portfolios ORDER BY portfolio_id LIMIT CAST(:portfolios AS bigint)))"
)
DATES = sa.text(
    " UNION ALL ".join(
        f"SELECT DISTINCT '{table}' AS held_in, {column} AS day FROM {table} WHERE {SINCE.format(column)}"
        # These have no index by session.
        + (f" AND {SOME_PORTFOLIOS}" if table.startswith("portfolio_") else "")
        for table, column in DATED.items()
    )
    + " ORDER BY held_in, day"
)

PUBLISHED = "SELECT DISTINCT session, unnest(products) AS product FROM publications WHERE layer = 'symbol'"
UNPUBLISHED = " UNION ALL ".join(
    f"SELECT DISTINCT '{product}' AS product, {DATED[table]} AS session FROM {table} "
    f"WHERE {SINCE.format(DATED[table])} "
    f"AND ({DATED[table]}, '{product}') NOT IN (SELECT session, product FROM ({PUBLISHED}) AS published)"
    for product, table in TABLES.items()
)
# What a snapshot says it was published by is a publication of its session.
STRAY_SNAPSHOTS = f"""
SELECT portfolio_id, session, generation FROM portfolio_snapshots AS held
WHERE {OF_DAYS.format("session")} AND {SOME_PORTFOLIOS} AND NOT EXISTS (
  SELECT FROM publications WHERE (layer, session, generation) = ('portfolio', held.session, held.generation))
"""
OF_TWO_GENERATIONS = f"""
SELECT portfolio_id, session FROM portfolio_snapshots JOIN portfolio_exposures AS other USING (portfolio_id, session)
WHERE other.generation <> portfolio_snapshots.generation AND {OF_DAYS.format("session")} AND {SOME_PORTFOLIOS}
"""

FINITE = "{0}std_err IS NOT NULL AND abs({0}std_err) < 'Infinity'"
OLS = " UNION ALL ".join(
    f"SELECT session, symbol FROM {table} WHERE {OF_DAYS.format('session')} "
    f"AND (n_obs < {LEAST['ols']} OR NOT ({FINITE.format('')}))"
    for table in ("symbol_market_beta", "symbol_ir_beta")
)
SPREADS = " UNION ALL ".join(
    f"SELECT session, symbol FROM symbol_spread_factors WHERE {OF_DAYS.format('session')} "
    f"AND {name}_beta IS NOT NULL AND ({name}_n_obs < {LEAST_OF_SPREADS} OR NOT ({FINITE.format(name + '_')}))"
    for name in SPREAD_COLUMNS
)
# Ridge has no standard error.
RIDGE = (
    f"SELECT session, symbol FROM symbol_ridge_factors WHERE {OF_DAYS.format('session')} AND (n_obs < {LEAST['ridge']}"
    + "".join(f" OR {name}_beta IS NULL OR NOT abs({name}_beta) <= {BETA_CAP:g}" for name in RIDGE_COLUMNS)
    + ")"
)
NOT_FINITE = f"""
SELECT metrics_date AS session, symbol FROM symbol_daily_metrics WHERE {OF_DAYS.format("metrics_date")}
  AND (close_price = 'NaN' OR close_price <= 0 OR NOT coalesce(abs(return_1d), 0) < 'Infinity')
"""
VALUES_APART = f"""
SELECT portfolio_id, session, net + unpriced_value AS told, total FROM portfolio_snapshots LEFT JOIN LATERAL (
  SELECT sum(value) / 100000000.0 AS total FROM portfolio_lot_values AS held, unnest(market_values) AS value
  WHERE (held.portfolio_id, held.session) = (portfolio_snapshots.portfolio_id, portfolio_snapshots.session)
) AS added ON true
WHERE {OF_DAYS.format("session")} AND {SOME_PORTFOLIOS} AND coalesce(total, 0) <> net + unpriced_value
"""
# From ``stale_from`` on they await recomputation, and build on what has been computed anew before them.
ROLLED_APART = f"""
SELECT portfolio_id, session FROM (
  SELECT portfolio_id, session, equity, daily_pnl, capital_flow, cumulative_pnl,
    lag(equity) OVER each AS before, lag(cumulative_pnl) OVER each AS gained
  FROM portfolio_snapshots
  WHERE {SINCE.format("session")} AND {SOME_PORTFOLIOS}
  WINDOW each AS (PARTITION BY portfolio_id ORDER BY session)
) AS rolled JOIN portfolios USING (portfolio_id)
WHERE (equity <> before + daily_pnl + capital_flow OR cumulative_pnl <> gained + daily_pnl)
  AND (stale_from IS NULL OR session < stale_from)
"""
QUERIES = {
    "rows of what is not published": UNPUBLISHED,
    "snapshots that no publication knows": STRAY_SNAPSHOTS,
    "snapshots and exposures of two generations": OF_TWO_GENERATIONS,
    "betas of too few observations or without error": OLS,
    "spread betas of too few observations or without error": SPREADS,
    "ridge betas that are none": RIDGE,
    "values that do not add up": VALUES_APART,
    "equity that does not roll forward": ROLLED_APART,
    "published closes that are none": NOT_FINITE,
}
NO_SESSION = "rows of what is no session"
EXAMPLES = 3
# The first two columns of each query tell its rows apart: the same rows are the same words at every look.
IN_ORDER = "SELECT * FROM ({}) AS broken ORDER BY 1, 2 LIMIT " + str(EXAMPLES)
NEWEST = sa.text("SELECT DISTINCT max(session) OVER (PARTITION BY layer) AS session FROM publications")


def find_broken(
    connection: sa.Connection,
    *,
    days: Sequence[date] | None = None,
    since: date | None = None,
    portfolios: int | None = None,
    deadline: Deadline | None = None,
) -> list[str]:
    """All that breaks an invariant, in words, with the first three rows that do; ``kind_of`` tells which it is.

    Rows of ``days`` are looked at one by one, dates and publications ``since`` then, and the first so many
    ``portfolios``; None looks at all of them. Raises ``StorageError`` as every read does, and at the ``deadline``.
    """
    limits = {"days": None if days is None else list(days), "since": since, "portfolios": portfolios}
    found = []
    for kind, query in QUERIES.items():
        _bound(connection, deadline)
        rows = connection.execute(sa.text(IN_ORDER.format(query)), limits)
        found += [_told(kind, row) for row in rows.mappings()]
    _bound(connection, deadline)
    dates = list(connection.execute(DATES, limits).mappings())
    _bound(connection, deadline)
    calendar = read_calendar(connection)
    return [*found, *(_told(NO_SESSION, row) for row in dates if not calendar.is_session(row["day"]))]


def _bound(connection: sa.Connection, deadline: Deadline | None) -> None:
    if deadline is not None:
        deadline.bound(connection)


def _told(kind: str, row: sa.RowMapping) -> str:
    return f"{kind}: {', '.join(f'{name} {value}' for name, value in row.items())}"


def kind_of(broken: str) -> str:
    """What is broken, without the row that shows it."""
    return broken.partition(":")[0]


def find_newly_broken(connection: sa.Connection, *, portfolios: int, deadline: Deadline | None = None) -> list[str]:
    """What breaks an invariant in the newest published session of each layer and in the week before."""
    _bound(connection, deadline)
    days = sorted(connection.execute(NEWEST).scalars())
    if not days:
        return []
    since = days[-1] - timedelta(days=7)
    return find_broken(connection, days=days, since=since, portfolios=portfolios, deadline=deadline)
