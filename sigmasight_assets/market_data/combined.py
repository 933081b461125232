"""Two sources as one: option contracts are asked of a vendor of options, everything else of the market's own source."""

from collections.abc import Sequence
from datetime import date

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.around import SourceAround
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    BarRequest,
    FetchResult,
    Listing,
    MarketSource,
    Outcome,
    ProfileResult,
    SymbolOutcome,
    in_parts,
    joined,
    requests_by_symbol,
    second_of,
    source_names,
)

OPTION_VENDOR = "polygon"
# So many are no longer about single contracts, and each costs a turn of 12 seconds.
REFUSALS_IN_A_ROW = 3
NO_OPTION_PRICES = "no source of option prices: set POLYGON_API_KEY"


class WithOptions(SourceAround):
    """A source of shares, and beside it one of option contracts, if there is any.

    Contracts never keep the shares from being answered for: what goes wrong with their source is the outcome of each
    contract that was to be asked for. After that source is down, refuses three contracts in a row or wants fewer calls
    than its own patience allows, this object, which is one step's, asks it no more.
    """

    def __init__(self, shares: MarketSource, options: MarketSource | None) -> None:
        self._shares = shares
        self._options = options
        self._given_up: str | None = None
        self._refusals = 0

    @property
    def inner(self) -> MarketSource:
        """The source of shares."""
        return self._shares

    @property
    def names(self) -> frozenset[str]:
        """Those of both sources, and of the vendor of options also when there is none: its bars stay stored."""
        options = frozenset({OPTION_VENDOR}) if self._options is None else source_names(self._options)
        return source_names(self._shares) | options

    @property
    def second(self) -> MarketSource | None:
        """That of the source of shares."""
        return second_of(self._shares)

    @property
    def own_calls(self) -> int | None:
        """HTTP calls of both sources; None where those of the source of shares are counted by the caller."""
        shares = self._shares.own_calls
        options = None if self._options is None else self._options.own_calls
        return None if shares is None else shares + (options or 0)

    def listings(self) -> list[Listing]:
        """Those of the source of shares."""
        return self._shares.listings()

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """Both sources' answers; ``sources`` names the one of the contracts that it has answered for.

        Raises ``MarketDataError`` when the source of shares cannot answer.
        """
        asked = list(requests_by_symbol(requests).values())
        contracts = [item for item in asked if _is_contract(item.symbol)]
        shares = [item for item in asked if not _is_contract(item.symbol)]
        # Nothing is asked of the shares' source when only contracts are: its calls are counted and few.
        answers = [self._shares.fetch_bars(shares)] if shares or not contracts else []
        answers += [self._fetch_contracts(part) for part in self._parts(contracts)]
        return joined(answers)

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """Those of the source of shares."""
        return self._shares.fetch_profiles(symbols, as_of=as_of)

    def _fetch_contracts(self, requests: Sequence[BarRequest]) -> FetchResult:
        if self._options is None:
            return _without_bars(requests, SymbolOutcome(Outcome.EMPTY, NO_OPTION_PRICES))
        if self._given_up is not None:
            return _without_bars(requests, SymbolOutcome(Outcome.FAILED, self._given_up))
        try:
            answer = self._options.fetch_bars(requests)
        except MarketDataError as error:
            # A refusal may be about this contract's window alone: plans do not reach back for ever.
            self._refusals += isinstance(error, MarketSetupError)
            if not isinstance(error, MarketSetupError) or self._refusals == REFUSALS_IN_A_ROW:
                self._given_up = f"{_word(error)}: not asked for, since {error}"
            return _without_bars(requests, SymbolOutcome(Outcome.FAILED, f"{_word(error)}: {error}"))
        self._refusals = 0
        sources = dict.fromkeys(answer.outcomes, self._options.name)
        return FetchResult(answer.bars, answer.outcomes, answer.actions, {**sources, **answer.sources})

    def _parts(self, requests: Sequence[BarRequest]) -> list[Sequence[BarRequest]]:
        return in_parts(requests, max(1, len(requests)) if self._options is None else self._options.symbols_per_call)


def _is_contract(symbol: str) -> bool:
    try:
        parse_occ_symbol(symbol)
    except MarketDataError:
        return False
    return True


def _word(error: MarketDataError) -> str:
    """The failure with which the detail of a failed symbol begins."""
    # This import takes 0.1 s; where anything has failed, the failing source has it already.
    from sigmasight_assets.market_data.vendor_calls import Failure  # noqa: PLC0415

    if isinstance(error, RateLimitedError):
        return Failure.RATE_LIMITED
    return Failure.REFUSED if isinstance(error, MarketSetupError) else Failure.UNREACHABLE


def _without_bars(requests: Sequence[BarRequest], outcome: SymbolOutcome) -> FetchResult:
    return FetchResult(BAR_SCHEMA.empty_table(), {item.symbol: outcome for item in requests})
