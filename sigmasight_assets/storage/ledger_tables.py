"""Tables of the portfolio layer's results, of publications and of operations."""

import itertools

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from sigmasight_assets.storage.metadata import (
    INSTANT,
    METADATA,
    MONEY,
    PRICE,
    column,
    identity_key,
    partitioned_by_year,
    required_key,
    written_at,
)
from sigmasight_assets.storage.tables import FACTOR_COLUMNS

LAYERS = "('symbol', 'portfolio')"
# Of each factor; all four are null where a portfolio has no number of it.
EXPOSURE_NUMBERS = {
    "exposure": "Sum of weight x beta, dimensionless; null when equity <= 0",
    "dollars": "Sum of value x beta, USD",
    "per_invested": "Sum of value x beta over sum of |value| with the beta, dimensionless",
    "coverage": "Share of |value| whose symbol has the beta, dimensionless",
}
# Type and content of the lists. Codes are those of ``quant.snapshots.LotStatus``.
LOT_LISTS = {
    "position_ids": (sa.BigInteger, "Lots held, ascending"),
    "prices_used": (sa.BigInteger, "Price each was valued at, 1e-4 USD; null for PRIVATE lots and before any price"),
    "split_numerators": (sa.BigInteger, "Shares in the units of prices_used ..."),
    "split_denominators": (sa.BigInteger, "... per so many units of the lot's quantity"),
    "market_values": (sa.BigInteger, "quantity x price x multiplier, 1e-8 USD"),
    "daily_pnls": (sa.BigInteger, "P&L since the previous snapshot, 1e-8 USD"),
    "statuses": (sa.SmallInteger, "1 priced, 2 stale, 3 unpriced"),
}

portfolio_snapshots = sa.Table(
    "portfolio_snapshots",
    METADATA,
    required_key("portfolio_id", sa.BigInteger, "Portfolio"),
    required_key("session", sa.Date, "Session of the snapshot"),
    column("equity", MONEY, "Account equity, USD"),
    column("long_value", MONEY, "Value of long lots, USD"),
    column("short_value", MONEY, "Value of short lots, USD, negative"),
    column("gross", MONEY, "long_value - short_value, USD"),
    column("net", MONEY, "long_value + short_value, USD"),
    column("cash", MONEY, "equity - net - unpriced_value, USD; may be negative"),
    column("unpriced_value", MONEY, "Last value of lots without a usable price, USD"),
    column("daily_pnl", MONEY, "P&L since the previous snapshot, USD"),
    column(
        "daily_return",
        sa.Double,
        "daily_pnl / (previous equity + flows), dimensionless; null when not positive",
        null=True,
    ),
    column("cumulative_pnl", MONEY, "P&L since the first snapshot, USD"),
    column("realized_pnl", MONEY, "(exit - entry) x quantity of lots closed since the previous snapshot, USD"),
    column("unrealized_pnl", MONEY, "(price - entry) x quantity of lots held, USD"),
    column("capital_flow", MONEY, "Flows since the previous snapshot, USD"),
    column("dividends", MONEY, "Dividends since the previous snapshot, USD"),
    column("positions_count", sa.Integer, "Lots held, count"),
    column("long_count", sa.Integer, "Long lots held, count"),
    column("short_count", sa.Integer, "Short lots held, count"),
    column("stale_count", sa.Integer, "Lots valued at a carried price, count"),
    column("excluded_count", sa.Integer, "Lots without a usable price, count"),
    column("is_partial", sa.Boolean, "Whether a lot is stale or unpriced"),
    column("missing_symbols", ARRAY(sa.Text), "Symbols of those lots"),
    column(
        "priced_share",
        sa.Double,
        "Share of gross priced by the session's own closes or valuations, dimensionless",
        null=True,
    ),
    column("provider_beta", sa.Double, "Vendor's betas weighted by value over equity, dimensionless", null=True),
    column(
        "provider_beta_coverage", sa.Double, "Share of PUBLIC |value| whose symbol has one, dimensionless", null=True
    ),
    column("fingerprint", sa.BigInteger, "Fingerprint of the row's content and method version"),
    column("generation", sa.BigInteger, "Generation that published the row"),
    sa.CheckConstraint("gross = long_value - short_value AND net = long_value + short_value", name="values_add_up"),
    sa.CheckConstraint("cash = equity - net - unpriced_value", name="cash_adds_up"),
    comment="Value, P&L and equity of a portfolio at a session",
    **partitioned_by_year("session"),
)

# The view `position_values` shows these as a row per lot, in USD and with the status as a word. Migrations keep rows of
# up to about 160 lots from being compressed.
portfolio_lot_values = sa.Table(
    "portfolio_lot_values",
    METADATA,
    required_key("portfolio_id", sa.BigInteger, "Portfolio"),
    required_key("session", sa.Date, "Session"),
    *(column(name, ARRAY(kind), comment) for name, (kind, comment) in LOT_LISTS.items()),
    sa.CheckConstraint(
        "cardinality(position_ids) > 0 AND "
        + " AND ".join(f"cardinality({name}) = cardinality(position_ids)" for name in list(LOT_LISTS)[1:]),
        name="as_long_as_each_other",
    ),
    sa.CheckConstraint(
        " AND ".join(f"array_position({name}, NULL) IS NULL" for name in LOT_LISTS if name != "prices_used"),
        name="only_prices_missing",
    ),
    # What the view shows as NUMERIC(14,4).
    sa.CheckConstraint("100000000000000 > ALL (prices_used)", name="prices_fit"),
    sa.CheckConstraint("statuses <@ '{1,2,3}'::smallint[]", name="statuses"),
    comment="Value of each lot that a portfolio holds at a session, as lists in the order of position_ids",
    **partitioned_by_year("session"),
)

option_expiries = sa.Table(
    "option_expiries",
    METADATA,
    required_key("portfolio_id", sa.BigInteger, "Portfolio"),
    required_key("position_id", sa.BigInteger, "OPTIONS lot that was held at expiry"),
    column("session", sa.Date, "Session at which the lot was settled"),
    column("symbol", sa.Text, "Contract"),
    column("underlying", sa.Text, "Ticker of the share it was on"),
    column("underlying_price", PRICE, "Its close at the session in the units of the strike, USD"),
    column("settlement_price", PRICE, "Intrinsic value a share, USD; 0 when it expired worthless"),
    column("generation", sa.BigInteger, "Generation that published the row"),
    comment="Option lots that ended by expiry, at the intrinsic value",
)

# The view `portfolio_factor_exposures` shows these as a row per factor, without the prefix of the factor's columns.
portfolio_exposures = sa.Table(
    "portfolio_exposures",
    METADATA,
    required_key("portfolio_id", sa.BigInteger, "Portfolio"),
    required_key("session", sa.Date, "Session"),
    *(
        column(f"{factor}_{name}", sa.Double, comment, null=True)
        for factor in FACTOR_COLUMNS
        for name, comment in EXPOSURE_NUMBERS.items()
    ),
    column("generation", sa.BigInteger, "Generation that published the row"),
    sa.CheckConstraint(
        " AND ".join(
            f"abs({factor}_{name}) < 'Infinity'" for factor, name in itertools.product(FACTOR_COLUMNS, EXPOSURE_NUMBERS)
        ),
        name="figures_finite",
    ),
    comment="Nightly factor exposures of portfolios, null where a factor has no number",
    **partitioned_by_year("session"),
)

publications = sa.Table(
    "publications",
    METADATA,
    required_key("generation", sa.BigInteger, "Global number of the published data set"),
    required_key("layer", sa.Text, "symbol or portfolio"),
    required_key("session", sa.Date, "Session whose content changed"),
    column("products", ARRAY(sa.Text), "Products that were written"),
    column("rows_written", sa.Integer, "Rows that are new or changed"),
    column("coverage", sa.Double, "Share of active symbols, or of gross, with data at the session", null=True),
    column("counts", JSONB, "Counts by product and reason"),
    column("symbols", ARRAY(sa.Text), "Symbols that changed in a session published before; null: any", null=True),
    column("run_id", sa.Text, "Run that published"),
    written_at("published_at", "When it was published"),
    sa.CheckConstraint(f"layer IN {LAYERS}", name="layer"),
    comment="What was published when: the only source of truth about completeness",
)
sa.Index(None, publications.c.layer, publications.c.session, publications.c.generation)

snapshot_inputs = sa.Table(
    "snapshot_inputs",
    METADATA,
    required_key("session", sa.Date, "Session whose snapshots exist"),
    column("symbol_generation", sa.BigInteger, "Symbol publication the snapshots were computed from"),
    column("run_id", sa.Text, "Run that computed them"),
    written_at("computed_at", "When they were computed"),
    comment="Which symbol publication each session's snapshots have consumed",
)

snapshot_parts = sa.Table(
    "snapshot_parts",
    METADATA,
    identity_key("part_id", "Part"),
    column("generation", sa.BigInteger, "Generation of the rows that its slices write"),
    column("sessions", ARRAY(sa.Date), "Sessions, ascending"),
    column("symbol_generations", ARRAY(sa.BigInteger), "Symbol publication that each is computed from"),
    column("slices", sa.Integer, "Number of slices"),
    column("force", sa.Boolean, "Whether what does not differ is written too"),
    column("run_id", sa.Text, "Run that announced it and closes it"),
    written_at("announced_at", "When it was announced"),
    sa.CheckConstraint("slices > 0", name="slices"),
    comment="Snapshots that several runs are computing at the moment",
)

snapshot_slices = sa.Table(
    "snapshot_slices",
    METADATA,
    sa.Column(
        "part_id",
        sa.BigInteger,
        sa.ForeignKey("snapshot_parts.part_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="Part",
    ),
    required_key("slice", sa.Integer, "Which slice, from 0"),
    column("existing", ARRAY(sa.BigInteger), "Snapshots by session"),
    column("changed", ARRAY(sa.BigInteger), "Of these, written"),
    column("run_id", sa.Text, "Run that computed it"),
    written_at("finished_at", "When it was done"),
    comment="Slices of those that are done",
)

batch_runs = sa.Table(
    "batch_runs",
    METADATA,
    required_key("run_id", sa.Text, "Run"),
    required_key("kind", sa.Text, "Step: symbol_prices, symbol_products, portfolio_products, ..."),
    column("first_session", sa.Date, "First session of the range"),
    column("last_session", sa.Date, "Last session of the range"),
    column("input_hash", sa.Text, "Hash of the inputs a gated run was started for", null=True),
    column("status", sa.Text, "running, succeeded or failed"),
    column("counts", JSONB, "Counts the step reported", null=True),
    column("error", sa.Text, "Why it failed", null=True),
    column("started_by", sa.Text, "Schedule or sensor that started the run, or manual", server_default="manual"),
    written_at("started_at", "Start"),
    written_at("seen_at", "Last sign of life while it runs"),
    column("finished_at", INSTANT, "End", null=True),
    sa.CheckConstraint("status IN ('running', 'succeeded', 'failed')", name="status"),
    comment="Steps that ran, kept longer than the orchestrator's own history",
)
sa.Index(None, batch_runs.c.started_at)
sa.Index(
    "ix_batch_runs_gated",
    batch_runs.c.input_hash,
    batch_runs.c.started_at,
    postgresql_where=batch_runs.c.input_hash.is_not(None),
)
sa.Index("ix_batch_runs_running", batch_runs.c.started_at, postgresql_where=batch_runs.c.status == "running")

data_quality_results = sa.Table(
    "data_quality_results",
    METADATA,
    identity_key("result_id", "Row number"),
    column("run_id", sa.Text, "Run that judged"),
    column("layer", sa.Text, "symbol or portfolio"),
    column("check_name", sa.Text, "Check"),
    column("session", sa.Date, "Session judged"),
    column("passed", sa.Boolean, "Verdict"),
    column("is_blocking", sa.Boolean, "Whether a failure keeps the session from being published"),
    column("detail", sa.Text, "Measured value and offenders"),
    written_at("checked_at", "When it was judged"),
    sa.CheckConstraint(f"layer IN {LAYERS}", name="layer"),
    comment="Verdicts of the checks per session",
)
sa.Index(None, data_quality_results.c.layer, data_quality_results.c.session, data_quality_results.c.checked_at)
