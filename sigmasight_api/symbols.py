"""The answers about one symbol: its row of the universe and a market view in, the documents out.

No database, no clock.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from sigmasight_api.books import OPTIONS
from sigmasight_api.formats import four_decimals, optional_cents, optional_number, price
from sigmasight_api.schemas import Symbol, SymbolFactor, SymbolStatus
from sigmasight_api.symbol_schemas import Bar
from sigmasight_api.view import NO_EXPOSURES, PRODUCT_OF_FACTOR, MarketView
from sigmasight_assets.quant.factors import FACTORS, Quality
from sigmasight_assets.storage.onboarding import OnboardingRequest

NotReady = tuple[Literal["unknown", "pending", "processing", "error"], str]
SHORT_HISTORY = "short_history"
DELISTED = "delisted"
OPTION = "option"
NO_OPTION_EXPOSURES = "option contracts have no exposures"
NO_CLOSE = "no published close within 5 sessions"
QUALITY_LABELS: dict[int, Literal["full", "limited", "suspect"]] = {
    Quality.FULL: "full",
    Quality.LIMITED: "limited",
    Quality.SUSPECT: "suspect",
}


def symbol_answer(tracked: Mapping[str, Any], view: MarketView) -> Symbol:
    """The tracked symbol with its figures in the view."""
    symbol = tracked["symbol"]
    row = view.rows.get(symbol)
    has_close = row is not None and bool(view.close[row] > 0)
    return Symbol(
        symbol=symbol,
        name=tracked["name"],
        asset_type=tracked["asset_type"],
        status=tracked["status"],
        status_reason=tracked["status_reason"],
        sector=tracked["sector"],
        industry=tracked["industry"],
        profile_date=tracked["captured_on"],
        market_cap=optional_cents(tracked["market_cap"]),
        **{name: tracked[name] for name in ("pe_ratio", "forward_pe", "dividend_yield", "provider_beta")},
        as_of=view.as_of,
        generation=view.generation,
        close=price(int(view.close[row])) if has_close else None,
        close_session=view.close_session[row].item() if has_close else None,
        factors=[_factor(position, tracked, row, view) for position in range(len(FACTORS))],
    )


def bar_answer(row: sa.Row[Any]) -> Bar:
    """A stored bar, from its row."""
    return Bar(
        session=row.price_date,
        open=four_decimals(row.open_price),
        high=four_decimals(row.high_price),
        low=four_decimals(row.low_price),
        close=four_decimals(row.close_price),
        adj_close=row.adj_close_price,
        volume=row.volume,
        source=row.source,
        fetched_at=row.fetched_at,
    )


def symbol_status(
    symbol: str, tracked: Mapping[str, Any] | None, view: MarketView, *, request: OnboardingRequest | None = None
) -> SymbolStatus:
    """Whether the symbol has exposures in the view, and if not, what it waits for.

    ``request`` is the newest one to onboard it.
    """
    asked = _asked_for(tracked, request)
    if tracked is None:
        status, reason = asked or ("unknown", "not tracked")
        return SymbolStatus(symbol=symbol, status=status, factors_date=None, reason=reason)
    row = view.rows.get(symbol)
    if tracked["asset_type"] == OPTION and row is not None and view.close[row] > 0:
        return SymbolStatus(symbol=symbol, status="ready", factors_date=None, reason=NO_OPTION_EXPOSURES)
    lacking = {
        factor.name: view.missing_reason(symbol, position)
        for position, factor in enumerate(FACTORS)
        if row is None or np.isnan(view.betas[row, position])
    }
    if row is not None and len(lacking) < len(FACTORS):
        # Its last figures serve for five sessions more.
        ended = [tracked["status_reason"] or DELISTED] if tracked["status"] == DELISTED else []
        return SymbolStatus(
            symbol=symbol,
            status="ready",
            factors_date=_newest_session(row, view),
            reason="; ".join([*ended, *(f"{name}: {reason}" for name, reason in lacking.items())]) or None,
        )
    status, reason = asked or _not_ready(tracked, lacking[FACTORS[0].name])
    return SymbolStatus(symbol=symbol, status=status, factors_date=tracked["last_factor_date"], reason=reason)


def unpriced_reason(tracked: Mapping[str, Any] | None, request: OnboardingRequest | None) -> str:
    """Why a held symbol has no close in the view: its status, and the reason for that."""
    asked = _asked_for(tracked, request)
    if asked is None and tracked is None:
        asked = "pending", "the next night takes it up"
    if asked is None and tracked is not None and tracked["status"] != "active":
        asked = _not_ready(tracked, NO_CLOSE)
    return NO_CLOSE if asked is None else ": ".join(asked)


def _asked_for(tracked: Mapping[str, Any] | None, request: OnboardingRequest | None) -> NotReady | None:
    """What the newest request says of a symbol without figures; None when that is not it."""
    if request is None or request.status == "completed":
        return None
    if request.status == "failed":
        # A later night may have brought it in all the same, or knows better why not.
        return ("error", request.sentence) if tracked is None or tracked["status"] == "pending" else None
    return ("pending" if request.status == "pending" else "processing"), request.sentence


def _not_ready(tracked: Mapping[str, Any], recorded: str) -> NotReady:
    if tracked["status"] in {"error", DELISTED}:
        return "error", tracked["status_reason"] or tracked["status"]
    if tracked["status"] == "pending":
        return "pending", "no price yet"
    if recorded == SHORT_HISTORY:
        return "pending", recorded
    if recorded == NO_EXPOSURES:
        return "processing", "its figures are not published yet"
    return "error", recorded


def _newest_session(row: int, view: MarketView) -> date:
    used = np.isfinite(view.betas[row])
    newest: date = view.factors_session[row][PRODUCT_OF_FACTOR][used].max().item()
    return newest


def _factor(position: int, tracked: Mapping[str, Any], row: int | None, view: MarketView) -> SymbolFactor:
    name = FACTORS[position].name
    beta = None if row is None else optional_number(view.betas[row, position])
    if row is None or beta is None:
        is_option = tracked["asset_type"] == OPTION
        reason = OPTIONS.lower() if is_option else view.missing_reason(tracked["symbol"], position)
        return SymbolFactor(name=name, beta=None, quality=None, std_err=None, session=None, reason=reason)
    return SymbolFactor(
        name=name,
        beta=beta,
        quality=QUALITY_LABELS.get(int(view.quality[row, position])),
        std_err=optional_number(view.std_errors[row, position]),
        session=view.factors_session[row, PRODUCT_OF_FACTOR[position]].item(),
        reason=None,
    )
