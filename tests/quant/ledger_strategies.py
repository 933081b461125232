"""Random books for the ledger's tests, with everything that formulas.md section 5 speaks of."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st

from tests.quant.ledger_books import OPTIONS, PRIVATE, PUBLIC, Book, Dividend, Flow, Lot, Split

SYMBOLS = 3
FIRST_DAY = date(2024, 3, 1)
DAYS = 22
# Weekends and one holiday: entries, exits and flows fall on them too.
CALENDAR = [FIRST_DAY + timedelta(days=n) for n in range(DAYS) if n % 7 not in {1, 2} and n != 12]

early_days = st.integers(-4, DAYS // 2).map(lambda offset: FIRST_DAY + timedelta(days=offset))
days = st.integers(-4, DAYS + 2).map(lambda offset: FIRST_DAY + timedelta(days=offset))
prices = st.integers(1, 30_000_000).map(lambda units: Decimal(units).scaleb(-4))
quantities = st.integers(-40_000_000, 40_000_000).filter(bool).map(lambda units: Decimal(units).scaleb(-4))
# Closes by how often one is missing: carrying and running out of it need long gaps.
closes = {
    "never": prices,
    "sometimes": st.none() | prices,
    "mostly": st.sampled_from([True, True, True, True, False]).flatmap(lambda gone: st.none() if gone else prices),
}
amounts = st.integers(-(10**13), 10**14).map(lambda units: Decimal(units).scaleb(-8))
valuations = st.lists(st.tuples(days, amounts.map(abs)), max_size=3, unique_by=lambda valued: valued[0]).map(tuple)
ratios = st.sampled_from([(4, 1), (3, 2), (1, 10), (7, 3), (1, 1_000)])
split_lists = st.lists(
    st.builds(lambda symbol, day, ratio: Split(symbol, day, *ratio), st.integers(0, SYMBOLS - 1), days, ratios),
    max_size=3,
)
dividend_amounts = st.integers(1, 50_000_000).map(lambda units: Decimal(units).scaleb(-6))
dividend_lists = st.lists(st.builds(Dividend, st.integers(0, SYMBOLS - 1), days, dividend_amounts), max_size=5)


@st.composite
def lot_lists(draw: st.DrawFn, portfolios: int) -> list[Lot]:
    """Up to eight lots, ascending by portfolio."""
    lots = []
    for _ in range(draw(st.sampled_from([8, 6, 4, 1, 0]))):
        entry = draw(early_days)
        days_held = draw(st.none() | st.integers(0, DAYS))
        kind = draw(st.sampled_from([PUBLIC, PUBLIC, PUBLIC, OPTIONS, PRIVATE]))
        restated_after = draw(st.integers(0, DAYS if days_held is None else days_held))
        lots.append(
            Lot(
                portfolio=draw(st.integers(0, portfolios - 1)),
                symbol=draw(st.integers(0, SYMBOLS - 1)),
                quantity=Decimal(1) if kind == PRIVATE else draw(quantities),
                entry_price=draw(prices),
                entry_date=entry,
                exit_date=None if days_held is None else entry + timedelta(days=days_held),
                exit_price=draw(st.just(Decimal(0)) | prices),
                kind=kind,
                units_date=draw(st.sampled_from([None, entry + timedelta(days=restated_after)])),
                valuations=draw(valuations) if kind == PRIVATE else (),
            )
        )
    return sorted(lots, key=lambda lot: lot.portfolio)


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Up to three portfolios of up to eight lots over three weeks."""
    portfolios = draw(st.lists(st.tuples(early_days, amounts), min_size=1, max_size=3))
    flow = st.builds(Flow, st.integers(0, len(portfolios) - 1), days, amounts)
    gaps = draw(st.lists(st.sampled_from(sorted(closes)), min_size=SYMBOLS, max_size=SYMBOLS))
    return Book(
        portfolios=portfolios,
        lots=draw(lot_lists(len(portfolios))),
        calendar=CALENDAR,
        closes=[[draw(closes[missing]) for missing in gaps] for _ in CALENDAR],
        flows=draw(st.lists(flow, max_size=4)),
        splits=draw(split_lists),
        dividends=draw(dividend_lists),
    )


# Most sessions, in order; those that are left out are holes to be spanned.
row_choices = st.sets(st.integers(1, len(CALENDAR) - 1), max_size=7).map(
    lambda holes: [row for row in range(len(CALENDAR)) if row not in holes]
)
checked = settings(deadline=None, max_examples=80)
