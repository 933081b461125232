"""The correlation answer on views made by hand: which symbols, what is null, and what is said about it."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from sigmasight_api.correlation import correlations
from sigmasight_assets.quant.arrays import FloatArray
from tests.api.handmade import AS_OF, holdings, lot, market, private, with_returns
from tests.api.test_book_series import CALL, RANDOM, VIEW, view_of
from tests.api.test_exposures import BOOK


def test_two_symbols_by_hand() -> None:
    answer = correlations(BOOK, holdings({"AAA": 10, "BBB": -30}), VIEW)
    expected = pd.DataFrame(RANDOM[:2, -90:].T).corr().iloc[0, 1]
    found = answer.data
    assert found.symbols == ["BBB", "AAA"]
    assert found.matrix == [[1.0, pytest.approx(expected)], [pytest.approx(expected), 1.0]]
    assert found.mean_correlation == pytest.approx(expected)
    assert found.mean_absolute_correlation == pytest.approx(abs(expected))
    whole = (100 * RANDOM[0, -90:] - 300 * RANDOM[1, -90:]).std(ddof=1)
    apart = 100 * RANDOM[0, -90:].std(ddof=1) + 300 * RANDOM[1, -90:].std(ddof=1)
    assert found.diversification_ratio == pytest.approx(apart / whole, rel=1e-12)
    shares = np.array([1 + expected, 1 - expected]) / 2
    assert found.effective_bets == pytest.approx(np.exp(-(shares @ np.log(shares))), rel=1e-12)
    assert (found.sessions, found.first_session, found.last_session) == (90, VIEW.sessions[-90].item(), AS_OF)
    assert (found.symbols_not_shown, found.symbols_without_all, found.missing) == (0, [], [])
    assert (found.is_repaired, answer.coverage, answer.excluded) == (False, 1.0, [])


def test_the_fifty_largest_are_shown_and_the_others_counted() -> None:
    names = [f"S{number:02d}" for number in range(57)]
    returns = np.random.default_rng(1).normal(0.0, 0.02, (57, 293))
    view = with_returns(market(dict.fromkeys(names, 1.0), dict.fromkeys(names, 10_000)), returns)
    quantities = {name: (60 - number // 2) * (-1) ** number for number, name in enumerate(names)}
    answer = correlations(BOOK, holdings(quantities), view, sessions=252)
    assert answer.data.symbols == names[:50]
    assert (answer.data.symbols_not_shown, answer.data.sessions) == (7, 252)
    gross = sum(map(abs, quantities.values()))
    assert answer.coverage == pytest.approx(sum(abs(quantities[name]) for name in names[:50]) / gross)
    expected = pd.DataFrame(returns[:50, -252:].T).corr().to_numpy()
    assert np.allclose(np.array(answer.data.matrix, dtype=float), expected, rtol=1e-10)


def test_options_and_private_assets_are_named_not_correlated() -> None:
    others = (lot(CALL, 2, "OPTIONS"), private("HOUSE", on_2025_06_30="100"))
    answer = correlations(BOOK, holdings({"AAA": 1, "BBB": 1, "ZZZ": 1}, *others), VIEW)
    assert answer.data.symbols == ["AAA", "BBB"]
    assert [(item.symbol, item.reason) for item in answer.excluded] == [
        (CALL, "options"),
        ("HOUSE", "private"),
        ("ZZZ", "no_price"),
    ]


def test_a_young_symbol_has_no_correlations_and_the_others_keep_theirs() -> None:
    young = np.where(np.arange(293) < 293 - 29, np.nan, RANDOM[2])
    view = view_of({"AAA": RANDOM[0], "BBB": RANDOM[1], "NEW": young})
    answer = correlations(BOOK, holdings({"AAA": 3, "BBB": 2, "NEW": 1}), view)
    without = correlations(BOOK, holdings({"AAA": 3, "BBB": 2}), view)
    assert answer.data.matrix[2] == [None, None, None]
    assert [row[2] for row in answer.data.matrix] == [None, None, None]
    assert answer.data.symbols_without_all == ["NEW"]
    assert answer.data.effective_bets == without.data.effective_bets
    assert answer.data.diversification_ratio == without.data.diversification_ratio
    assert answer.data.missing == []


def missing_of(view_returns: dict[str, FloatArray], quantities: dict[str, int]) -> dict[str, str]:
    answer = correlations(replace(BOOK, equity=Decimal(-1)), holdings(quantities), view_of(view_returns))
    assert all(getattr(answer.data, item.name) is None for item in answer.data.missing)
    return {item.name: item.reason for item in answer.data.missing}


MEANS, WHOLE = ("mean_correlation", "mean_absolute_correlation"), ("diversification_ratio", "effective_bets")


def test_what_is_null_has_a_reason() -> None:
    young, flat = np.full(293, np.nan), np.zeros(293)
    assert missing_of({"AAA": RANDOM[0]}, {"AAA": 1}) == dict.fromkeys(MEANS, "single_position")
    assert missing_of({"AAA": young, "BBB": young}, {"AAA": 1, "BBB": 1}) == dict.fromkeys(
        (*MEANS, *WHOLE), "short_history"
    )
    assert missing_of({"AAA": RANDOM[0], "BBB": young}, {"AAA": 1, "BBB": 1}) == dict.fromkeys(MEANS, "short_history")
    assert missing_of({"AAA": flat, "BBB": flat}, {"AAA": 1, "BBB": 1}) == dict.fromkeys(
        (*MEANS, *WHOLE), "no_variation"
    )
    assert missing_of({"AAA": young}, {"ZZZ": 1}) == dict.fromkeys((*MEANS, *WHOLE), "no_price")
    assert missing_of({"AAA": young}, {}) == dict.fromkeys((*MEANS, *WHOLE), "no_positions")
    # Long and short of the same: nothing is left of the whole.
    assert missing_of({"AAA": RANDOM[0], "BBB": RANDOM[0]}, {"AAA": 1, "BBB": -1}) == {
        "diversification_ratio": "no_variation"
    }


def test_sessions_are_those_that_have_returns() -> None:
    young = np.where(np.arange(293) < 293 - 40, np.nan, RANDOM[:2])
    found = correlations(BOOK, holdings({"AAA": 1, "BBB": 2}), view_of({"AAA": young[0], "BBB": young[1]})).data
    assert (found.sessions, found.first_session) == (40, VIEW.sessions[-40].item())
    empty = correlations(BOOK, holdings({}), VIEW).data
    assert (empty.sessions, empty.first_session, empty.symbols, empty.matrix) == (0, None, [], [])


def test_a_matrix_that_missing_returns_made_impossible_is_repaired_for_the_whole_only() -> None:
    # B moves with A while both trade, C with B, and C against A.
    a, b, c = np.full((3, 93), np.nan)
    moves = np.random.default_rng(4).normal(0.0, 0.01, 93)
    a[:31], b[:31] = moves[:31], moves[:31]
    b[31:62], c[31:62] = moves[31:62], moves[31:62]
    a[62:], c[62:] = moves[62:], -moves[62:]
    found = correlations(
        BOOK, holdings({"AAA": 3, "BBB": 2, "CCC": 1}), view_of({"AAA": a, "BBB": b, "CCC": c}), sessions=93
    ).data
    assert np.allclose(np.array(found.matrix, dtype=float), [[1, 1, -1], [1, 1, 1], [-1, 1, 1]])
    assert found.is_repaired
    # The nearest has correlations of a half: eigenvalues 1.5, 1.5 and 0.
    assert found.effective_bets == pytest.approx(2.0, abs=1e-4)
