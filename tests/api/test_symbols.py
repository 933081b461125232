"""Tests of the answers about one symbol: its figures, and every status with its reason."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from sigmasight_api.symbols import symbol_answer, symbol_status, unpriced_reason
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.storage.onboarding import OnboardingRequest
from sigmasight_assets.storage.tables import PROFILE_FIGURES
from tests.api.handmade import market as handmade_market

AS_OF = date(2025, 7, 31)
EARLIER = date(2025, 7, 29)
ASKED = datetime(2025, 7, 31, tzinfo=UTC)


def tracked(symbol: str = "AAA", **changes: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "name": "Triple A",
        "asset_type": "equity",
        "sector": "Energy",
        "industry": None,
        "status": "active",
        "status_reason": None,
        "captured_on": None,
        **dict.fromkeys(PROFILE_FIGURES),
        "last_factor_date": EARLIER,
        **changes,
    }


def market(beta: float = 1.25, close: int = 1_234_500, reasons: dict[tuple[str, str], str] | None = None) -> MarketView:
    """One symbol whose spreads are two sessions old and whose last factor has no value."""
    betas = np.full((1, 12), beta)
    betas[0, -1] = np.nan
    return replace(
        handmade_market({"AAA": 1.0}, {"AAA": close}),
        betas=betas,
        quality=np.where(np.isnan(betas), 0, 2).astype(np.int8),
        factors_session=np.array([[AS_OF, AS_OF, AS_OF, EARLIER]], dtype="datetime64[D]"),
        reasons=reasons or {},
    )


def test_a_symbol_has_its_close_and_twelve_factors_in_order() -> None:
    answer = symbol_answer(tracked(), market(reasons={("AAA", "quality_spread"): "constant"}))
    assert (answer.close, answer.close_session, answer.as_of, answer.generation) == ("123.4500", AS_OF, AS_OF, 5)
    assert [factor.name for factor in answer.factors] == [factor.name for factor in FACTORS]
    first, spread, last = answer.factors[0], answer.factors[-2], answer.factors[-1]
    assert (first.beta, first.quality, first.session, first.reason) == (1.25, "limited", AS_OF, None)
    assert (spread.beta, spread.session) == (1.25, EARLIER)
    assert (last.beta, last.quality, last.session, last.reason) == (None, None, None, "constant")


def test_a_symbol_without_figures_has_nulls_with_reasons() -> None:
    answer = symbol_answer(tracked("NEW"), market(reasons={("NEW", "ridge_factors"): "short_history"}))
    assert (answer.close, answer.close_session) == (None, None)
    assert {factor.beta for factor in answer.factors} == {None}
    assert [factor.reason for factor in answer.factors] == [*["no_exposures"] * 2, *["short_history"] * 6] + [
        "no_exposures"
    ] * 4


def test_a_symbol_without_a_close_has_no_price_but_its_factors() -> None:
    answer = symbol_answer(tracked(), market(close=0))
    assert (answer.close, answer.close_session, answer.factors[0].beta) == (None, None, 1.25)


def test_a_symbol_has_the_figures_of_its_profile_and_its_status() -> None:
    figures: dict[str, Any] = {
        "market_cap": 1.5e12,
        "pe_ratio": 12.5,
        "forward_pe": -3.0,
        "dividend_yield": 0.0,
        "provider_beta": 0.9,
    }
    row = tracked(captured_on=EARLIER, status="delisted", status_reason="merged", **figures)
    answer = symbol_answer(row, market())
    assert (answer.market_cap, answer.pe_ratio, answer.forward_pe) == ("1500000000000.00", 12.5, -3.0)
    assert (answer.dividend_yield, answer.provider_beta, answer.profile_date) == (0.0, 0.9, EARLIER)
    assert (answer.status, answer.status_reason) == ("delisted", "merged")
    without = symbol_answer(tracked(), market())
    assert (without.market_cap, without.pe_ratio, without.profile_date) == (None, None, None)


def test_an_option_has_a_close_and_no_factors() -> None:
    answer = symbol_answer(tracked(asset_type="option"), market(beta=np.nan))
    assert (answer.asset_type, answer.close) == ("option", "123.4500")
    assert {(factor.beta, factor.reason) for factor in answer.factors} == {(None, "options")}


@pytest.mark.parametrize(
    ("close", "status", "expected"),
    [
        (1, "active", ("ready", None, "option contracts have no exposures")),
        (0, "pending", ("pending", EARLIER, "no price yet")),
        (0, "delisted", ("error", EARLIER, "delisted")),
    ],
)
def test_an_option_is_ready_with_its_close(
    close: int, status: str, expected: tuple[str, date | None, str | None]
) -> None:
    answer = symbol_status("AAA", tracked(asset_type="option", status=status), market(beta=np.nan, close=close))
    assert (answer.status, answer.factors_date, answer.reason) == expected


def test_a_delisted_symbol_is_ready_while_its_figures_serve_and_says_so() -> None:
    answer = symbol_status("AAA", tracked(status="delisted"), market())
    assert (answer.status, answer.reason) == ("ready", "delisted; Quality Spread: no_exposures")
    answer = symbol_status("AAA", tracked(status="delisted", status_reason="merged"), market())
    assert answer.reason == "merged; Quality Spread: no_exposures"


def test_ready_tells_the_newest_session_and_what_is_lacking() -> None:
    answer = symbol_status("AAA", tracked(), market())
    assert (answer.status, answer.factors_date) == ("ready", AS_OF)
    assert answer.reason == "Quality Spread: no_exposures"


@pytest.mark.parametrize(
    ("row", "recorded", "status", "reason"),
    [
        (None, None, "unknown", "not tracked"),
        (tracked("NEW", status="pending"), None, "pending", "no price yet"),
        (tracked("NEW"), "short_history", "pending", "short_history"),
        (tracked("NEW"), None, "processing", "its figures are not published yet"),
        (tracked("NEW"), "no_price", "error", "no_price"),
        (tracked("NEW"), "constant", "error", "constant"),
        (tracked("NEW", status="error", status_reason="no such ticker"), None, "error", "no such ticker"),
        (tracked("NEW", status="delisted"), "no_price", "error", "delisted"),
    ],
)
def test_whoever_has_no_exposures_is_told_why(
    row: dict[str, Any] | None, recorded: str | None, status: str, reason: str
) -> None:
    reasons = {("NEW", "market_beta"): recorded} if recorded else {}
    answer = symbol_status("NEW", row, market(reasons=reasons))
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.factors_date == (None if row is None else EARLIER)


def request(status: str, *, attempts: int = 0, error: str | None = None) -> OnboardingRequest:
    """The newest request of a symbol."""
    return OnboardingRequest(
        request_id=1,
        symbol="NEW",
        status=status,
        priority=0,
        attempts=attempts,
        requested_by="ann",
        requested_at=ASKED,
        not_before=ASKED,
        run_id=None,
        started_at=None,
        finished_at=None,
        generation=None,
        error=error,
    )


WAITING = request("pending", attempts=1, error="the vendor is away")
WORKED_ON = request("processing", attempts=1)
GIVEN_UP = request("failed", attempts=1, error="unknown: no such ticker")
AGAIN = "waiting to be onboarded, attempt 2 of 3: the vendor is away"


@pytest.mark.parametrize(
    ("row", "asked", "status", "reason"),
    [
        (None, WAITING, "pending", AGAIN),
        (tracked("NEW", status="pending"), WAITING, "pending", AGAIN),
        (tracked("NEW"), WAITING, "pending", AGAIN),
        (tracked("NEW", status="error", status_reason="unknown"), WAITING, "pending", AGAIN),
        (None, WORKED_ON, "processing", "being onboarded"),
        (tracked("NEW"), WORKED_ON, "processing", "being onboarded"),
        (None, GIVEN_UP, "error", "unknown: no such ticker"),
        (tracked("NEW", status="pending"), GIVEN_UP, "error", "unknown: no such ticker"),
        (tracked("NEW", status="error", status_reason="later"), GIVEN_UP, "error", "later"),
        (tracked("NEW"), GIVEN_UP, "processing", "its figures are not published yet"),
        (tracked("NEW"), request("completed"), "processing", "its figures are not published yet"),
        (None, request("completed"), "unknown", "not tracked"),
    ],
)
def test_who_was_asked_for_is_told_how_that_stands(
    row: dict[str, Any] | None, asked: OnboardingRequest, status: str, reason: str
) -> None:
    answer = symbol_status("NEW", row, market(), request=asked)
    assert (answer.status, answer.reason) == (status, reason)


def test_a_symbol_with_figures_is_ready_whatever_was_asked() -> None:
    for asked in (WAITING, WORKED_ON, GIVEN_UP):
        assert symbol_status("AAA", tracked(), market(), request=asked).status == "ready"


@pytest.mark.parametrize(
    ("row", "asked", "reason"),
    [
        (None, None, "pending: the next night takes it up"),
        (None, WAITING, f"pending: {AGAIN}"),
        (None, WORKED_ON, "processing: being onboarded"),
        (None, GIVEN_UP, "error: unknown: no such ticker"),
        (tracked("NEW", status="pending"), None, "pending: no price yet"),
        (tracked("NEW", status="pending"), GIVEN_UP, "error: unknown: no such ticker"),
        (tracked("NEW", status="error", status_reason="no such ticker"), None, "error: no such ticker"),
        (tracked("NEW", status="delisted", status_reason="merged"), None, "error: merged"),
        (tracked("NEW"), None, "no published close within 5 sessions"),
        (tracked("NEW"), request("completed"), "no published close within 5 sessions"),
    ],
)
def test_why_a_held_symbol_has_no_close(
    row: dict[str, Any] | None, asked: OnboardingRequest | None, reason: str
) -> None:
    assert unpriced_reason(row, asked) == reason
