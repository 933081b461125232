"""What Yahoo's summary of one symbol says of its company. No calls here."""

import math
from typing import Any

from sigmasight_assets.market_data.vendor_calls import garbage, json_object
from sigmasight_assets.market_data.yahoo_answers import CURRENCY, cleaned, dotted_spelling, told_reason

# All that a profile needs, in one call.
MODULES = ("price", "assetProfile", "summaryDetail")
GICS_SECTORS = {
    "Basic Materials": "Materials",
    "Communication Services": "Communication Services",
    "Consumer Cyclical": "Consumer Discretionary",
    "Consumer Defensive": "Consumer Staples",
    "Energy": "Energy",
    "Financial Services": "Financials",
    "Healthcare": "Health Care",
    "Industrials": "Industrials",
    "Real Estate": "Real Estate",
    "Technology": "Information Technology",
    "Utilities": "Utilities",
}


class NoProfileError(Exception):
    """Yahoo has no profile of the symbol; the text is its reason."""


def read_summary(content: bytes, symbol: str) -> dict[str, Any]:
    """The profile as a row of ``PROFILE_SCHEMA``.

    The sector is a GICS name, null when Yahoo's word is none it is known to use; the industry is Yahoo's own. A fund's
    dividend yield is its yield. Figures that are missing, no numbers or not finite are null, and so is the market value
    when it is not in US dollars.

    Raises ``NoProfileError`` when Yahoo does not know the symbol, and ``VendorCallError`` (garbage) when the answer is
    no summary of it.
    """
    body = json_object(content)
    said = body.get("quoteSummary") or body.get("finance")
    if not isinstance(said, dict):
        raise garbage("the answer is not a summary")
    if said.get("error"):
        raise _refusal(said["error"])
    try:
        result = said["result"][0]
        price, company, detail = (result.get(name) or {} for name in MODULES)
        about = str(price.get("symbol", symbol))
        row = _row(symbol, price, company, detail)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise garbage("the answer has not the shape of a summary") from None
    if dotted_spelling(about) != dotted_spelling(symbol):
        raise garbage("the answer is about another symbol")
    return row


def _row(symbol: str, price: Any, company: Any, detail: Any) -> dict[str, Any]:
    currency = price.get("currency") or detail.get("currency")
    market_cap = _figure(price.get("marketCap")) or _figure(detail.get("marketCap"))
    dividend_yield = _figure(detail.get("dividendYield"))
    return {
        "symbol": symbol,
        "name": _text(price.get("longName")) or _text(price.get("shortName")),
        "sector": GICS_SECTORS.get(_text(company.get("sector")) or ""),
        "industry": _text(company.get("industry")),
        "market_cap": market_cap if currency == CURRENCY else None,
        "pe_ratio": _figure(detail.get("trailingPE")),
        "forward_pe": _figure(detail.get("forwardPE")),
        "dividend_yield": _figure(detail.get("yield")) if dividend_yield is None else dividend_yield,
        "provider_beta": _figure(detail.get("beta")),
    }


def _figure(value: Any) -> float | None:
    """A number, bare or with its formatted text beside it."""
    if isinstance(value, dict):
        value = value.get("raw")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str | None:
    return (cleaned(value) or None) if isinstance(value, str) else None


def _refusal(error: Any) -> Exception:
    code, said = told_reason(error)
    return NoProfileError(said) if code == "Not Found" else garbage(f"Yahoo says: {said}")
