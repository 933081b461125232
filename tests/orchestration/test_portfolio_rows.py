"""Rows of the portfolio products as a pure computation: betas in force, exposures, and what a fingerprint notices."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows, recent_betas
from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.lots import CapitalFlows, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.snapshots import LotStatus
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.books import Books
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.snapshots import PortfolioRows

SYMBOLS = ("AAA", "BBB", "CCC")
# Eight sessions, of which the last two are computed.
GRID = Grid(np.array(exchange_calendar().between(date(2025, 7, 1), date(2025, 7, 11)), dtype="datetime64[D]"), SYMBOLS)
ROWS = np.array([6, 7])
DOLLARS, SHARES = 10_000, 10_000


def books(*, portfolios: tuple[int, ...] = (11, 12, 13)) -> Books:
    """Portfolio 11 holds AAA and BBB, 12 is short BBB and holds CCC, 13 holds nothing."""
    owned = {11: [("AAA", 10, 101), ("BBB", 4, 102)], 12: [("BBB", -3, 103), ("CCC", 7, 104)], 13: []}
    lots = [(place, *lot) for place, owner in enumerate(portfolios) for lot in owned[owner]]
    count = len(lots)
    return Books(
        portfolio_ids=np.array(portfolios, dtype=np.int64),
        book_versions=np.ones(len(portfolios), dtype=np.int64),
        stale_from=np.full(len(portfolios), np.datetime64("NaT", "D"), dtype="datetime64[D]"),
        position_ids=np.array([lot[3] for lot in lots], dtype=np.int64),
        symbols=SYMBOLS,
        portfolios=Portfolios(
            np.full(len(portfolios), np.datetime64("2025-07-01"), dtype="datetime64[D]"),
            np.full(len(portfolios), 1_000 * 10**8, dtype=np.int64),
        ),
        lots=Lots(
            portfolio=np.array([lot[0] for lot in lots], dtype=np.int64),
            symbol=np.array([SYMBOLS.index(lot[1]) for lot in lots], dtype=np.int64),
            quantity=np.array([lot[2] * SHARES for lot in lots], dtype=np.int64),
            entry_price=np.full(count, 20 * DOLLARS, dtype=np.int64),
            entry_date=np.full(count, np.datetime64("2025-06-02"), dtype="datetime64[D]"),
            exit_date=np.full(count, np.datetime64("NaT", "D"), dtype="datetime64[D]"),
            exit_price=np.zeros(count, dtype=np.int64),
            multiplier=np.ones(count, dtype=np.int64),
        ),
        flows=CapitalFlows(
            np.zeros(0, dtype=np.int64), np.zeros(0, dtype="datetime64[D]"), np.zeros(0, dtype=np.int64)
        ),
    )


def closes() -> IntArray:
    return np.array([[(20 + row + 3 * column) * DOLLARS for column in range(3)] for row in range(8)], dtype=np.int64)


def betas() -> FloatArray:
    return np.random.default_rng(5).normal(1.0, 0.5, (8, 3, 12))


def compute(
    of: Books | None = None,
    *,
    prices: IntArray | None = None,
    published: FloatArray | None = None,
    rows: IntArray = ROWS,
) -> PortfolioRows:
    chosen = of or books()
    return compute_portfolio_rows(
        chosen,
        LedgerState.initial(chosen.portfolios, chosen.lots),
        GRID,
        rows=rows,
        closes=closes() if prices is None else prices,
        betas=betas() if published is None else published,
    )


def test_newest_beta_no_older_than_five_sessions_is_in_force() -> None:
    published = np.full((8, 2, 12), np.nan)
    published[1, 0, 0], published[2, 0, 1], published[6, 0, 2], published[7, 0, 3] = 1.0, 2.0, 6.0, 7.0
    published[4:6, 1] = [[4.0], [5.0]]
    before = published.copy()
    found = recent_betas(published, 7)
    assert np.isnan(found[0, 0]), "six sessions old"
    assert found[0, 1:4].tolist() == [2.0, 6.0, 7.0]
    assert np.isnan(found[0, 4:]).all()
    assert found[1].tolist() == [5.0] * 12
    np.testing.assert_array_equal(published, before)


def test_no_beta_from_the_future_or_from_before_the_window() -> None:
    published = np.full((3, 1, 12), np.nan)
    published[2] = 1.0
    assert np.isnan(recent_betas(published, 1)).all()
    assert np.isnan(recent_betas(published, 0)).all()
    assert recent_betas(published, 2).tolist() == [[1.0] * 12]


def test_exposures_are_weighted_sums() -> None:
    rows = compute()
    for place, row in enumerate(ROWS):
        aaa, bbb, ccc = closes()[row] / DOLLARS
        first, second, third = betas()[row]
        exposures = rows.exposures[place]
        long = 10 * aaa * first + 4 * bbb * second
        mixed = -3 * bbb * second + 7 * ccc * third
        np.testing.assert_allclose(exposures.dollars, [long, mixed, np.zeros(12)], rtol=1e-12)
        equity = rows.ledger.snapshots.equity[place] / 1e8
        np.testing.assert_allclose(exposures.exposures, exposures.dollars / equity[:, None], rtol=1e-12)
        np.testing.assert_allclose(exposures.per_invested[0], long / (10 * aaa + 4 * bbb), rtol=1e-12)
        assert exposures.factor_coverage[:2].tolist() == [[1.0] * 12] * 2
        assert np.isnan(exposures.factor_coverage[2]).all()


def test_symbol_without_price_in_force_has_no_exposure() -> None:
    gone = closes()
    gone[:, 1] = 0
    rows = compute(prices=gone)
    assert (rows.ledger.position_values.status[:, 1] == LotStatus.UNPRICED).all()
    aaa = closes()[7, 0] / DOLLARS
    np.testing.assert_allclose(rows.exposures[1].dollars[0], 10 * aaa * betas()[7, 0], rtol=1e-12)
    assert rows.exposures[1].factor_coverage[0].tolist() == [1.0] * 12


def test_fingerprints_are_the_same_in_any_company() -> None:
    together = compute().fingerprint
    for place, owner in enumerate((11, 12, 13)):
        alone = compute(books(portfolios=(owner,))).fingerprint
        np.testing.assert_array_equal(alone[:, 0], together[:, place])
    np.testing.assert_array_equal(compute().fingerprint, together)
    assert len(np.unique(together)) == together.size


def test_fingerprint_does_not_depend_on_other_symbols_of_the_grid() -> None:
    of = books(portfolios=(11,))
    fewer = replace(of, symbols=SYMBOLS[:2])
    state = LedgerState.initial(fewer.portfolios, fewer.lots)
    grid = Grid(GRID.sessions, SYMBOLS[:2])
    found = compute_portfolio_rows(fewer, state, grid, rows=ROWS, closes=closes()[:, :2], betas=betas()[:, :2])
    np.testing.assert_array_equal(found.fingerprint, compute(of).fingerprint)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("close of AAA at the last session", [[False, False, False], [True, False, False]]),
        ("close of BBB at the first session", [[True, True, False], [True, True, False]]),
        ("a beta of CCC", [[False, False, False], [False, True, False]]),
        ("a beta of BBB is carried", [[False, False, False], [True, True, False]]),
        ("number of a lot", [[True, False, False], [True, False, False]]),
        ("stated equity", [[False, False, True], [False, False, True]]),
        ("a price that is carried is now the session's own", [[False, False, False], [True, False, False]]),
    ],
)
def test_fingerprint_notices_what_is_published(change: str, expected: list[list[bool]]) -> None:
    """Where (T, P) it changes; P&L carries a changed close into the next session."""
    of, prices, published = books(), closes(), betas()
    before = compute(of, prices=prices, published=published).fingerprint
    if change == "close of AAA at the last session":
        prices[7, 0] += 1
    elif change == "close of BBB at the first session":
        prices[6, 1] += 1
    elif change == "a beta of CCC":
        published[7, 2, 11] = np.nextafter(published[7, 2, 11], 9.0)
    elif change == "a beta of BBB is carried":
        published[7, 1, 4] = np.nan
    elif change == "number of a lot":
        of.position_ids[0] = 999
    elif change == "stated equity":
        of.portfolios.stated_equity[2] += 1
    else:
        prices[7, 0] = 0
        before = compute(of, prices=prices, published=published).fingerprint
        prices[7, 0] = prices[6, 0]
    after = compute(of, prices=prices, published=published).fingerprint
    assert (after != before).tolist() == expected


def test_first_snapshot_differs_from_a_later_one_without_any_change() -> None:
    """Its daily return is null, that of a later one 0."""
    first = compute(rows=np.array([7])).fingerprint[0, 2]
    later = compute(rows=np.array([6, 7])).fingerprint[1, 2]
    assert first != later


def test_without_portfolios() -> None:
    rows = compute(books(portfolios=()))
    assert rows.fingerprint.shape == (2, 0)
    assert rows.exposures[0].dollars.shape == (0, 12)


def test_amounts_beyond_int64_are_an_error_that_names_the_portfolio() -> None:
    of = books()
    of.lots.quantity[2] = 10**15
    with pytest.raises(OverflowError, match="portfolio 1"):
        compute(of)
