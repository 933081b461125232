"""Values of a portfolio's lots as lists in one row a session, and their long form as a view

Revision: 20261121_0010
Revises: 20261121_0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261121_0010"
down_revision = "20261121_0009"
branch_labels = None
depends_on = None

LISTS = {
    "position_ids": "Lots held, ascending",
    "prices_used": "Price each was valued at, 1e-4 USD; null for PRIVATE lots and before any price",
    "split_numerators": "Shares in the units of prices_used ...",
    "split_denominators": "... per so many units of the lot's quantity",
    "market_values": "quantity x price x multiplier, 1e-8 USD",
    "daily_pnls": "P&L since the previous snapshot, 1e-8 USD",
    "statuses": "1 priced, 2 stale, 3 unpriced",
}
YEARS = range(2020, 2036)
# Rows above 2 kB, which is from 37 lots on, are compressed otherwise; of 100 lots that takes longer than all else of
# copying them in. With this it begins at 160 lots: such rows do not fit a page, and are compressed and moved out of it.
UNCOMPRESSED = "WITH (toast_tuple_target = 8160)"

LONG_ROWS = (
    "SELECT held.portfolio_id, held.session, lot.position_id, "
    "(lot.price_used * 0.0001)::numeric(14, 4) AS price_used, "
    "(lot.market_value * 0.00000001)::numeric(28, 8) AS market_value, "
    "(lot.daily_pnl * 0.00000001)::numeric(28, 8) AS daily_pnl, "
    "CASE lot.status WHEN 1 THEN 'priced' WHEN 2 THEN 'stale' WHEN 3 THEN 'unpriced' END AS status, "
    "lot.split_numerator, lot.split_denominator "
    f"FROM portfolio_lot_values AS held CROSS JOIN LATERAL unnest({', '.join(f'held.{name}' for name in LISTS)}) "
    "AS lot (position_id, price_used, split_numerator, split_denominator, market_value, daily_pnl, status)"
)
ROWS_OF_LISTS = (
    "SELECT portfolio_id, session, array_agg(position_id ORDER BY position_id), "
    "array_agg((price_used * 10000)::bigint ORDER BY position_id), array_agg(split_numerator ORDER BY position_id), "
    "array_agg(split_denominator ORDER BY position_id), "
    "array_agg((market_value * 100000000)::bigint ORDER BY position_id), "
    "array_agg((daily_pnl * 100000000)::bigint ORDER BY position_id), "
    "array_agg((CASE status WHEN 'priced' THEN 1 WHEN 'stale' THEN 2 WHEN 'unpriced' THEN 3 END)::smallint "
    "ORDER BY position_id) FROM position_values GROUP BY portfolio_id, session ORDER BY portfolio_id, session"
)


def _create_partitions(table: str, options: str = "") -> None:
    for year in YEARS:
        op.execute(
            f"CREATE TABLE {table}_y{year} PARTITION OF {table} "
            f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01') {options}"
        )
    op.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT {options}")


def upgrade() -> None:
    op.create_table(
        "portfolio_lot_values",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session"),
        *(
            sa.Column(
                name,
                postgresql.ARRAY(sa.SmallInteger() if name == "statuses" else sa.BigInteger()),
                nullable=False,
                comment=comment,
            )
            for name, comment in LISTS.items()
        ),
        sa.CheckConstraint(
            "cardinality(position_ids) > 0 AND "
            + " AND ".join(f"cardinality({name}) = cardinality(position_ids)" for name in list(LISTS)[1:]),
            name=op.f("ck_portfolio_lot_values_as_long_as_each_other"),
        ),
        sa.CheckConstraint(
            " AND ".join(f"array_position({name}, NULL) IS NULL" for name in LISTS if name != "prices_used"),
            name=op.f("ck_portfolio_lot_values_only_prices_missing"),
        ),
        sa.CheckConstraint("100000000000000 > ALL (prices_used)", name=op.f("ck_portfolio_lot_values_prices_fit")),
        sa.CheckConstraint("statuses <@ '{1,2,3}'::smallint[]", name=op.f("ck_portfolio_lot_values_statuses")),
        sa.PrimaryKeyConstraint("portfolio_id", "session", name=op.f("pk_portfolio_lot_values")),
        comment="Value of each lot that a portfolio holds at a session, as lists in the order of position_ids",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    _create_partitions("portfolio_lot_values", UNCOMPRESSED)
    op.execute(f"INSERT INTO portfolio_lot_values (portfolio_id, session, {', '.join(LISTS)}) {ROWS_OF_LISTS}")
    op.drop_table("position_values")
    op.execute(f"CREATE VIEW position_values AS {LONG_ROWS}")
    op.execute(
        "COMMENT ON VIEW position_values IS "
        "'Value of each held lot at a session in long form: one row per portfolio, session and lot'"
    )


def downgrade() -> None:
    op.execute("DROP VIEW position_values")
    op.create_table(
        "position_values",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session"),
        sa.Column("position_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Lot"),
        sa.Column(
            "price_used",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="Price the lot was valued at, USD; null for PRIVATE lots",
        ),
        sa.Column(
            "market_value",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="quantity x price x multiplier, USD",
        ),
        sa.Column(
            "daily_pnl",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="P&L since the previous snapshot, USD",
        ),
        sa.Column("status", sa.Text(), nullable=False, comment="priced, stale or unpriced"),
        sa.Column(
            "split_numerator",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="Shares in the units of price_used ...",
        ),
        sa.Column(
            "split_denominator",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="... per so many units of the lot's quantity",
        ),
        sa.CheckConstraint("status IN ('priced', 'stale', 'unpriced')", name=op.f("ck_position_values_status")),
        sa.PrimaryKeyConstraint("portfolio_id", "session", "position_id", name=op.f("pk_position_values")),
        comment="Value of each held lot at a session",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    _create_partitions("position_values")
    op.execute(f"INSERT INTO position_values {LONG_ROWS}")
    op.drop_table("portfolio_lot_values")
