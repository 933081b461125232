"""Daily bars of option contracts from Polygon (also called Massive), by the vendor's own client under our rules.

One call is one contract over its whole window. What an answer means is read from its JSON here: the client itself takes
a page of HTML for a contract without trades.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pyarrow as pa

from sigmasight_assets.errors import MarketDataError, MarketSetupError
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    PROFILE_SCHEMA,
    BarRequest,
    FetchResult,
    Listing,
    Outcome,
    ProfileResult,
    SymbolOutcome,
    requests_by_symbol,
)
from sigmasight_assets.market_data.vendor_calls import (
    CallRules,
    Failure,
    GuardedPool,
    VendorCallError,
    garbage,
    json_object,
)
from sigmasight_assets.market_data.vendor_patience import Patience

KEY_SETTING = "POLYGON_API_KEY"
# In a header anything else becomes an error whose text is the header.
KEY = re.compile(r"[!-~]+")
# The most days one answer can hold, far more than a contract lives.
LARGEST_ANSWER = 50_000
# A bar's time is the midnight in New York with which its day begins.
EXCHANGE_ZONE = ZoneInfo("America/New_York")
# Delayed is what the plan of a key does not cover up to the present.
ANSWERED: tuple[str, ...] = ("OK", "DELAYED")
# The vendor's names of ``BAR_VALUES``: a contract pays no dividends, its total-return close is its close.
LETTERS = ("o", "h", "l", "c", "c", "v")
UNKNOWN = "Polygon knows no such contract"

Read = TypeVar("Read")
# Symbol, date and the six numbers.
Row = tuple[Any, ...]


class PolygonOptions:
    """Bars of contracts as traded: prices in US dollars a share, volumes in contracts; nothing else is supplied.

    Raises ``MarketSetupError`` for a key that cannot be one.
    """

    name = "polygon"
    supplies_corporate_actions = False
    supplies_dated_profiles = False
    symbols_per_call = 1

    def __init__(self, key: str, rules: CallRules, *, patience: Patience | None = None) -> None:
        if not KEY.fullmatch(key):
            raise MarketSetupError(f"{KEY_SETTING} is not a key of Polygon: copy it again, without blanks")
        self._key = key
        self._rules = rules
        self._patience = patience or Patience(self.name, rules)

    @property
    def own_calls(self) -> int:
        """HTTP calls made so far, each in a turn of its own."""
        return self._rules.calls

    def listings(self) -> list[Listing]:
        """None: contracts are asked for by symbol."""
        return []

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """One call for each contract. A session without a trade has no bar; a field that is no number is null.

        Raises ``MarketSetupError`` when the key is refused, ``RateLimitedError`` when fewer calls are wanted still, and
        ``MarketDataError`` when the vendor is down.
        """
        rows: list[Row] = []
        outcomes: dict[str, SymbolOutcome] = {}
        for symbol, request in requests_by_symbol(requests).items():
            outcomes[symbol], found = self._fetch(request)
            rows += found
        columns = zip(*rows, strict=True) if rows else [()] * len(BAR_SCHEMA)
        return FetchResult(pa.table([list(values) for values in columns], schema=BAR_SCHEMA), outcomes)

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:  # noqa: ARG002
        """None: a contract is no company."""
        return ProfileResult(PROFILE_SCHEMA.empty_table(), dict.fromkeys(symbols, "a contract has no profile"))

    def _fetch(self, request: BarRequest) -> tuple[SymbolOutcome, list[Row]]:
        try:
            ticker = _ticker(request.symbol)
        except MarketDataError as error:
            return SymbolOutcome(Outcome.UNKNOWN, str(error)), []
        try:
            rows = self._ask(lambda: self._read_bars(request, ticker))
        except VendorCallError as error:
            return SymbolOutcome(Outcome.FAILED, str(error)), []
        if rows is None:
            return SymbolOutcome(Outcome.UNKNOWN, UNKNOWN), []
        if not rows:
            return SymbolOutcome(Outcome.EMPTY, f"no trades from {request.first} to {request.last}"), []
        return SymbolOutcome(Outcome.OK), rows

    def _ask(self, call: Callable[[], Read]) -> Read:
        try:
            return self._patience.ask(call)
        except MarketSetupError as error:
            refusal = str(error)
        raise MarketSetupError(f"{refusal} ({KEY_SETTING})")

    def _read_bars(self, request: BarRequest, ticker: str) -> list[Row] | None:
        answer = self._answer(
            lambda client: client.get_aggs(
                ticker,
                1,
                "day",
                request.first,
                request.last,
                # A split gives contracts new symbols; what was traded under the old ones stays as it was.
                adjusted=False,
                limit=LARGEST_ANSWER,
                raw=True,
            )
        )
        return None if answer is None else _bars(answer, ticker, request.symbol)

    def _answer(self, call: Callable[[Any], Any]) -> dict[str, Any] | None:
        """What one call brought, None when the vendor does not know the contract; else ``VendorCallError``."""
        from polygon.exceptions import BadResponse  # noqa: PLC0415  # see _client

        accepted = ANSWERED
        try:
            body: bytes | str = call(self._client).data
        except BadResponse as error:
            # Any status but 200; its text is all that the client tells of the answer.
            body, accepted = str(error), ()
        except UnicodeDecodeError:
            body = b""
        answer = json_object(body)
        status = answer.get("status")
        if status == "NOT_FOUND":
            return None
        if status not in accepted:
            raise _refusal(answer)
        return answer

    @cached_property
    def _client(self) -> Any:
        # This import takes 0.3 s, which processes that ask for no option need not pay.
        from polygon import RESTClient  # noqa: PLC0415

        client = RESTClient(self._key, retries=0, pagination=False, trace=False)
        own = client.client.connection_pool_kw
        client.client = GuardedPool(
            self._rules, headers=client.headers, ca_certs=own["ca_certs"], cert_reqs=own["cert_reqs"]
        )
        return client


def _ticker(symbol: str) -> str:
    """The vendor's spelling; ``MarketDataError`` for what is no option."""
    return f"O:{parse_occ_symbol(symbol).symbol}"


def _refusal(answer: dict[str, Any]) -> VendorCallError:
    """What an answer without data means. Its text is not passed on: it may repeat the key."""
    status, said = answer.get("status"), f"{answer.get('error')} {answer.get('message')}".casefold()
    if status == "NOT_AUTHORIZED" or (status == "ERROR" and re.search("api ?key", said)):
        return VendorCallError(Failure.REFUSED, "the vendor refuses access")
    if status == "ERROR" and "maximum requests" in said:
        return VendorCallError(Failure.RATE_LIMITED, "the vendor wants fewer calls")
    if status == "ERROR":
        return VendorCallError(Failure.SERVER_ERROR, "the vendor reports an error")
    return garbage("the answer does not say that it is one")


def _bars(answer: dict[str, Any], ticker: str, symbol: str) -> list[Row]:
    results, count = answer.get("results"), answer.get("resultsCount")
    bars = [] if results is None else results
    if not isinstance(bars, list) or (results is None and count is None):
        raise garbage("the answer has no list of bars")
    if count is not None and count != len(bars):
        raise garbage(f"the answer holds {len(bars)} bars and states another number")
    if answer.get("ticker", None if bars else ticker) != ticker:
        raise garbage("the answer is about another contract")
    if answer.get("next_url"):
        raise garbage("the answer is not whole")
    return [_bar(bar, symbol) for bar in bars]


def _bar(bar: Any, symbol: str) -> Row:
    try:
        day = datetime.fromtimestamp(bar["t"] / 1000, EXCHANGE_ZONE).date()
        return (symbol, day, *(_number(bar.get(letter)) for letter in LETTERS))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError):
        raise garbage("the answer has a bar without a date") from None


def _number(value: Any) -> float | None:
    """The value as a float, infinite when it is beyond all floats; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
