"""Rows of the portfolio products as a pure computation: betas in force, exposures, and what a fingerprint notices."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows, recent_betas
from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.lots import Dividends, LedgerState
from sigmasight_assets.quant.snapshots import LotStatus
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.books import Books
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.option_expiries import Settlements
from sigmasight_assets.storage.snapshots import PortfolioRows
from sigmasight_assets.storage.valuations import Valuations
from tests.orchestration.small_books import DOLLARS, MONEY, SHARES, Lot, days, no_settlements, small_books

SYMBOLS = ("AAA", "BBB", "CCC")
# Eight sessions, of which the last two are computed.
GRID = Grid(np.array(exchange_calendar().between(date(2025, 7, 1), date(2025, 7, 11)), dtype="datetime64[D]"), SYMBOLS)
ROWS = np.array([6, 7])
CALL = "AAA250718C00010000"
SETTLED = Settlements(
    portfolio=np.array([0]),
    position_id=np.array([9]),
    session=GRID.sessions[5:6],
    symbol=[CALL],
    underlying=["AAA"],
    underlying_price=np.array([9 * DOLLARS]),
    price=np.array([0]),
)


def books(*, portfolios: tuple[int, ...] = (11, 12, 13)) -> Books:
    """Portfolio 11 holds AAA and BBB, 12 is short BBB and holds CCC, 13 holds nothing."""
    owned: dict[int, list[Lot]] = {
        11: [Lot("AAA", 10, 101), Lot("BBB", 4, 102)],
        12: [Lot("BBB", -3, 103), Lot("CCC", 7, 104)],
        13: [],
    }
    return small_books({owner: owned[owner] for owner in portfolios}, symbols=SYMBOLS)


def closes() -> IntArray:
    return np.array([[(20 + row + 3 * column) * DOLLARS for column in range(3)] for row in range(8)], dtype=np.int64)


def betas() -> FloatArray:
    return np.random.default_rng(5).normal(1.0, 0.5, (8, len(SYMBOLS), 13))


def compute(
    of: Books | None = None,
    *,
    prices: IntArray | None = None,
    published: FloatArray | None = None,
    rows: IntArray = ROWS,
    grid: Grid = GRID,
    settled: Settlements | None = None,
) -> PortfolioRows:
    chosen = of or books()
    return compute_portfolio_rows(
        chosen,
        LedgerState.initial(chosen.portfolios, chosen.lots),
        grid,
        rows=rows,
        closes=closes() if prices is None else prices,
        betas=betas() if published is None else published,
        settlements=settled or no_settlements(),
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
        np.testing.assert_allclose(exposures.dollars, [long, mixed, np.zeros(13)], rtol=1e-12)
        equity = rows.ledger.snapshots.equity[place] / 1e8
        np.testing.assert_allclose(exposures.exposures, exposures.dollars / equity[:, None], rtol=1e-12)
        np.testing.assert_allclose(exposures.per_invested[0], long / (10 * aaa + 4 * bbb), rtol=1e-12)
        assert exposures.factor_coverage[:2].tolist() == [[1.0] * 13] * 2
        assert np.isnan(exposures.factor_coverage[2]).all()


def test_symbol_without_price_in_force_has_no_exposure() -> None:
    gone = closes()
    gone[:, 1] = 0
    rows = compute(prices=gone)
    assert (rows.ledger.position_values.status[:, 1] == LotStatus.UNPRICED).all()
    aaa = closes()[7, 0] / DOLLARS
    np.testing.assert_allclose(rows.exposures[1].dollars[0], 10 * aaa * betas()[7, 0], rtol=1e-12)
    assert rows.exposures[1].factor_coverage[0].tolist() == [1.0] * 13


def awkward_books() -> Books:
    """Portfolio 11 holds AAA, a call on it and two private assets, 12 the call alone."""
    return small_books(
        {
            11: [
                Lot("AAA", 10, 101),
                Lot(CALL, 2, 102, "OPTIONS"),
                Lot("Vineyard", 1, 103, "PRIVATE"),
                Lot("Boat", 1, 104, "PRIVATE"),
            ],
            12: [Lot(CALL, -1, 105, "OPTIONS")],
        },
        symbols=("BBB",),
        valuations=Valuations(2, np.array([0, 0]), GRID.sessions[[2, 7]], np.array([500, 700]) * MONEY),
    )


def test_options_and_private_assets_have_a_value_and_no_exposure() -> None:
    """The columns are AAA, the call, BBB, the vineyard and the boat, which nobody has valued."""
    of = awkward_books()
    rows = compute(of, grid=Grid(GRID.sessions, of.symbols))
    values = rows.ledger.position_values
    call = (23 + 7) * 2 * 100 * MONEY
    assert values.value[1].tolist() == [270 * MONEY, call, 700 * MONEY, 20 * MONEY, -call // 2]
    assert [LotStatus(code).label for code in values.status[1]] == ["priced", "priced", "priced", "unpriced", "priced"]
    assert values.pnl[1, 2] == 200 * MONEY
    np.testing.assert_allclose(rows.exposures[1].dollars[0], 270 * betas()[7, 0], rtol=1e-12)
    assert rows.exposures[1].factor_coverage[0].tolist() == [1.0] * 13
    assert rows.exposures[1].dollars[1].tolist() == [0.0] * 13
    assert rows.ledger.snapshots.gross[1].tolist() == [970 * MONEY + call, call // 2]


def test_their_fingerprints_notice_values_and_no_betas() -> None:
    of = awkward_books()
    grid, published = Grid(GRID.sessions, of.symbols), betas()
    before = compute(of, grid=grid).fingerprint
    # Those of AAA and of the call: only the shares of AAA have exposures.
    published[:, :2] += 1
    changed = compute(of, grid=grid, published=published).fingerprint != before
    assert changed.tolist() == [[True, False], [True, False]]
    of.valuations.value[1] += 1
    assert (compute(of, grid=grid).fingerprint != before).tolist() == [[False, False], [True, False]]


def test_valuations_are_those_of_the_sessions_computed() -> None:
    """Before the range, at its first session, and on a Saturday between its two."""
    for dates, expected in (
        ((date(2024, 1, 2),), [5, 5]),
        ((date(2025, 7, 10), date(2025, 7, 11)), [5, 6]),
        ((date(2025, 7, 12),), [20, 20]),
    ):
        found = Valuations(1, np.zeros(len(dates), dtype=np.int64), days(*dates), np.arange(5, 5 + len(dates)) * MONEY)
        of = small_books({11: [Lot("Boat", 1, 104, "PRIVATE")]}, symbols=SYMBOLS, valuations=found)
        assert compute(of).ledger.position_values.value[:, 0].tolist() == [value * MONEY for value in expected]


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
    grid = Grid(GRID.sessions, SYMBOLS[:2])
    found = compute(fewer, grid=grid, prices=closes()[:, :2], published=betas()[:, :2])
    np.testing.assert_array_equal(found.fingerprint, compute(of).fingerprint)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("close of AAA at the last session", [[False, False, False], [True, False, False]]),
        ("close of BBB at the first session", [[True, True, False], [True, True, False]]),
        ("a beta of CCC", [[False, False, False], [False, True, False]]),
        ("a beta of BBB is carried", [[False, False, False], [True, True, False]]),
        ("number of a lot", [[True, False, False], [True, False, False]]),
        ("the vendor's own beta of AAA", [[False, False, False], [True, False, False]]),
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
    elif change == "the vendor's own beta of AAA":
        published[7, 0, 12] = 0.5
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


def test_fingerprint_notices_the_units_of_a_price() -> None:
    """A seventh of the shares, each of which has become seven."""
    of = books()
    of.lots.split_numerator[3], of.lots.quantity[3] = 7, SHARES
    after = compute(of)
    assert (after.ledger.position_values.value == compute().ledger.position_values.value).all()
    assert (after.fingerprint != compute().fingerprint).tolist() == [[False, True, False]] * 2


def test_fingerprint_notices_a_dividend() -> None:
    paid = replace(books(), dividends=Dividends(np.array([1]), GRID.sessions[7:], np.array([1])))
    changed = compute(paid).fingerprint != compute().fingerprint
    assert changed.tolist() == [[False, False, False], [True, True, False]]


def test_fingerprint_of_the_first_snapshot_after_it_notices_a_settlement() -> None:
    settled = compute(settled=SETTLED).fingerprint
    assert (settled != compute().fingerprint).tolist() == [[True, False, False], [False, False, False]]
    otherwise = replace(SETTLED, underlying_price=SETTLED.underlying_price + 1)
    assert (compute(settled=otherwise).fingerprint != settled).tolist() == [[True, False, False], [False, False, False]]


def test_first_snapshot_differs_from_a_later_one_without_any_change() -> None:
    """Its daily return is null, that of a later one 0."""
    first = compute(rows=np.array([7])).fingerprint[0, 2]
    later = compute(rows=np.array([6, 7])).fingerprint[1, 2]
    assert first != later


def test_without_portfolios() -> None:
    rows = compute(books(portfolios=()))
    assert rows.fingerprint.shape == (2, 0)
    assert rows.exposures[0].dollars.shape == (0, 13)


def test_amounts_beyond_int64_are_an_error_that_names_the_portfolio() -> None:
    of = books()
    of.lots.quantity[2] = -(10**15)
    with pytest.raises(OverflowError, match="portfolio 1"):
        compute(of)
