"""Yahoo's two answers about a symbol, fetched with yfinance's own client under the rules of vendors' calls.

``YfData`` is yfinance's HTTP layer: cookies, crumbs, their renewal. Its ``Ticker.history`` is not used: it keeps the
first of two bars of one date whatever the second says, makes a missing volume 0, and rounds splits to floats, and of
all that nothing could be judged any more.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import requests

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.vendor_calls import CallRules, Failure, GuardedSession, VendorCallError
from sigmasight_assets.market_data.yahoo_answers import cleaned

HOST = "https://query2.finance.yahoo.com"
NEW_YORK = ZoneInfo("America/New_York")
LONGEST_CRUMB = 64
# Yahoo refuses requests that do not look like a browser's. These are the headers of yfinance's own session.
BROWSER = {
    "User-Agent": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
    ),
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
}

# The client's state is one for the whole process, and so is its session.
_CLIENT_LOCK = threading.Lock()


class YahooClient:
    """One guarded call of Yahoo per chart; per summary another two whenever its crumb is missing or has run out."""

    def __init__(self, rules: CallRules, cache: Path) -> None:
        self._session = _YahooSession(rules)
        self._cache = cache
        self._is_set_up = False

    def chart(self, symbol: str, first: date, end: date) -> bytes:
        """The daily bars, splits and dividends of Yahoo's symbol from ``first`` to before ``end``, as JSON.

        Raises ``VendorCallError``, and ``MarketDataError`` when the client cannot work here. That Yahoo does not know
        the symbol, or has no data, is an answer.
        """
        start, stop = (int(datetime.combine(day, time(), NEW_YORK).timestamp()) for day in (first, end))
        wanted = {"period1": start, "period2": stop, "interval": "1d", "includePrePost": False, "events": "div,splits"}
        return self._get(f"/v8/finance/chart/{symbol}", wanted, with_crumb=False)

    def summary(self, symbol: str, modules: tuple[str, ...]) -> bytes:
        """Parts of Yahoo's summary of its symbol, as JSON; raises as ``chart`` does."""
        wanted = {"modules": ",".join(modules), "corsDomain": "finance.yahoo.com", "formatted": "false"}
        return self._get(f"/v10/finance/quoteSummary/{symbol}", {**wanted, "symbol": symbol}, with_crumb=True)

    def _get(self, path: str, wanted: Mapping[str, Any], *, with_crumb: bool) -> bytes:
        # A third of a second and 65 MB, for those who ask Yahoo only.
        from peewee import PeeweeException  # noqa: PLC0415
        from yfinance.data import YfData  # noqa: PLC0415

        with _CLIENT_LOCK:
            self._set_up()
            self._session.with_crumb = with_crumb
            try:
                # Never through the client's cache of closed ranges: what is restated must come.
                response = YfData(session=self._session).get(HOST + path, params=dict(wanted))
            except _Told as told:
                return told.content
            except _NoCrumb as error:
                raise error.cause from None
            except PeeweeException as error:
                raise MarketDataError(
                    f"yfinance cannot use the files it keeps in {self._cache} ({cleaned(error)}): remove the directory"
                ) from None
        if response.status_code >= 400:
            raise VendorCallError(Failure.REFUSED, f"Yahoo refuses access ({response.status_code})")
        content: bytes = response.content
        return content

    def _set_up(self) -> None:
        """Once: setting the directory anew closes the file in it."""
        import yfinance  # noqa: PLC0415

        if self._is_set_up:
            return
        yfinance.set_tz_cache_location(str(self._cache))
        yfinance.config.network.retries = 0
        yfinance.config.debug.hide_exceptions = False
        # What went wrong is raised; the client would print it as well.
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)
        self._is_set_up = True


class _Told(Exception):  # noqa: N818
    """An answer with an error status, past the client's reaction: up to five more calls, the same one among them."""

    def __init__(self, content: bytes) -> None:
        super().__init__("an answer with an error status")
        self.content = content


class _NoCrumb(Exception):  # noqa: N818
    """No crumb came. Not an ``OSError``: the client would go on without, and be refused for a reason of its own."""

    def __init__(self, cause: VendorCallError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _YahooSession(GuardedSession):
    """Guarded calls of Yahoo, and only those that are needed.

    Charts need no crumb, so none is fetched for them, and a cookie is fetched once: the client does so before every
    summary where it cannot keep it, as when the calls go to another host than Yahoo's. The consent pages of the
    client's second way to a crumb work by redirects, which are not followed: they are taken as empty, and the client
    returns to its first way.
    """

    def __init__(self, rules: CallRules) -> None:
        super().__init__(rules)
        self.headers.update(BROWSER)
        self.with_crumb = False
        self._has_cookie = False

    def request(self, method: str, url: str, **arguments: Any) -> requests.Response:  # type: ignore[override]
        """One call, or the local answer to one that is not needed."""
        where = urlsplit(url)
        if where.path.startswith(("/v8/", "/v10/")):
            return super().request(method, url, **arguments)
        is_cookie, is_crumb = where.hostname == "fc.yahoo.com", where.path == "/v1/test/getcrumb"
        if is_crumb and not self.with_crumb:
            raise VendorCallError(Failure.REFUSED, "no crumb is needed")
        if not self.with_crumb or not (is_cookie or is_crumb) or (is_cookie and self._has_cookie):
            return _empty_page(url)
        try:
            response = super().request(method, url, **arguments)
        except VendorCallError as error:
            raise _NoCrumb(error) from None
        if is_crumb and not _is_crumb(response.text):
            raise _NoCrumb(VendorCallError(Failure.GARBAGE, "Yahoo sent no crumb"))
        self._has_cookie = True
        return response

    def judge(self, url: str, response: requests.Response) -> None:
        """What is raised passes the client by; an outdated crumb is for the client to renew."""
        where = urlsplit(url)
        if where.hostname == "fc.yahoo.com" and response.status_code != requests.codes.too_many_requests:
            # The page is an error; its cookie is what counts.
            return
        if response.status_code == requests.codes.unauthorized and self.with_crumb:
            self._has_cookie = False
            return
        super().judge(url, response)
        if response.status_code >= 400 and where.path.startswith(("/v8/", "/v10/")):
            raise _Told(response.content)


def _is_crumb(text: str) -> bool:
    return 0 < len(text) <= LONGEST_CRUMB and text.isprintable() and not any(sign in text for sign in "<> {}")


def _empty_page(url: str) -> requests.Response:
    page = requests.Response()
    page.status_code, page.url, page.raw = 200, url, BytesIO()
    return page
