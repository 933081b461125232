"""However Polygon fails to answer, a call ends within its timeout and one second; Yahoo's are judged beside its own."""

import time

import pytest

from sigmasight_assets.market_data.polygon import PolygonOptions
from sigmasight_assets.market_data.protocol import Outcome
from sigmasight_assets.market_data.vendor_calls import CallRules
from tests.market_data.test_polygon import CALL, DAYS, FAILURES, KEY, Turns, fetch
from tests.vendors.polygon import PolygonMarketplace
from tests.vendors.server import stand_in

SECONDS = 0.3


@pytest.mark.fault(7)
@pytest.mark.campaign
@pytest.mark.parametrize("name", FAILURES)
def test_what_is_no_answer_ends_within_its_timeout_and_one_second(name: str) -> None:
    with stand_in(PolygonMarketplace(days={CALL: dict(DAYS)}).routes) as vendor:
        vendor.script(CALL, FAILURES[name][0])
        source = PolygonOptions(KEY, CallRules(turns=Turns(), timeout=SECONDS, base_url=vendor.url))
        began = time.monotonic()
        assert fetch(source).outcomes[CALL].outcome is Outcome.FAILED
        assert time.monotonic() - began < len(vendor.asked(CALL)) * (SECONDS + 1)
