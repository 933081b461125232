"""Every number of every panel is the one that the API gives: in tables as it is written, in plots to the last bit."""

from datetime import date
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from sigmasight_assets.demo_books import NAMES, NEW
from tests.browser.answers import Answers, read_answers
from tests.browser.reading import (
    NONE,
    choose,
    differences,
    numbers,
    plot,
    positions,
    shown_money,
    shown_percent,
    shown_ratio,
    tile,
)

pytestmark = pytest.mark.e2e

Z_95 = 1.96
TIMES = "\u00d7"


@pytest.mark.parametrize("name", [name for name in NAMES if name != NEW])
def test_every_number_is_that_of_the_api(owner: Page, api: httpx.Client, name: str) -> None:
    choose(owner, name)
    answers = read_answers(api, name)
    panels = (_glance, _series, _exposures, _stress, _risk, _correlations, _sectors, _concentration, _positions)
    problems = [f"{panel.__name__}: {problem}" for panel in panels for problem in panel(owner, answers)]
    assert not problems, "\n".join(problems)


def _day(text: str) -> str:
    return f"{date.fromisoformat(text).day} {date.fromisoformat(text):%b %Y}"


def _floats(amounts: list[Any]) -> list[float | None]:
    return [None if amount is None else float(amount) for amount in amounts]


def _glance(page: Page, answers: Answers) -> list[str]:
    overview = answers.data("overview")
    snapshot, values = overview["snapshot"], overview["values"]
    exact = {
        "equity": shown_money(answers.documents["overview"]["equity"]),
        "daily_pnl": shown_money(snapshot["daily_pnl"], is_signed=True),
        "cumulative_pnl": shown_money(snapshot["cumulative_pnl"], is_signed=True),
        "long_value": shown_money(values["long_value"]),
        "short_value": shown_money(values["short_value"]),
        "gross_leverage": f"{shown_ratio(values['gross_leverage'], 2)} {TIMES}",
        "market_beta": shown_ratio(overview["market_beta"], 2),
        "expected_volatility_21": shown_percent(overview["expected_volatility_21"]),
        "positions": str(overview["positions"]),
    }
    shown = {item: tile(page, "glance", item) for item in page.evaluate(TILES)}
    day = page.locator("#as-of").inner_text()
    return [*differences(shown, exact), *([] if _day(snapshot["session"]) in day else [f"as of {day}"])]


TILES = "[...document.querySelectorAll('#glance [data-tile]')].map((item) => item.dataset.tile)"


def _series(page: Page, answers: Answers) -> list[str]:
    data, snapshots = answers.data("performance"), answers.snapshots
    points = {item["session"]: item for item in data["items"]}
    worth = [points[item["session"]] for item in snapshots]
    fund = _drawdowns([item["benchmark_index"] for item in worth])
    traces = {trace["name"]: trace for trace in plot(page, "plot-series")}
    exact = {
        "Value, USD": _floats([item["equity"] for item in snapshots]),
        "P&L of the day, USD": _floats([item["daily_pnl"] for item in snapshots]),
        "1 USD became: account": [item["index"] for item in worth],
        "1 USD became: SPY": [item["benchmark_index"] for item in worth],
        "Drawdown: account": [item["drawdown"] for item in worth],
        "Drawdown: SPY": fund,
    }
    sessions = [item["session"] for item in snapshots]
    problems = [f"days of {name}" for name in traces if traces[name]["x"] != sessions]
    problems += differences({name: trace["y"] for name, trace in traces.items()}, exact)
    rows = [
        [
            item["session"],
            shown_money(item["equity"]),
            shown_money(item["daily_pnl"], is_signed=True),
            shown_money(item["capital_flow"], is_signed=True) if float(item["capital_flow"]) else NONE,
            shown_percent(item["daily_return"], 2, is_signed=True),
            shown_ratio(point["index"], 4),
            shown_ratio(point["benchmark_index"], 4),
            shown_percent(point["drawdown"], 2),
            shown_percent(of_fund, 2),
        ]
        for item, point, of_fund in zip(snapshots, worth, fund, strict=True)
    ]
    tiles = {
        "total_return": shown_percent(data["total_return"], 2, is_signed=True),
        "maximum_drawdown": shown_percent((data["maximum_drawdown"] or {}).get("depth"), 2),
        "volatility": shown_percent(data["volatility"]),
        "tracking_error": shown_percent(data["benchmark"]["tracking_error"]),
        "beta": shown_ratio(data["benchmark"]["beta"], 2),
    }
    problems += differences({item: tile(page, "series", item) for item in tiles}, tiles)
    return [*problems, *differences(numbers(page, "series"), rows[::-1])]


def _drawdowns(index: list[float | None]) -> list[float | None]:
    peak, found = 0.0, list[float | None]()
    for value in index:
        peak = max(peak, value or 0.0)
        found.append(None if value is None else value / peak - 1)
    return found


def _exposures(page: Page, answers: Answers) -> list[str]:
    factors = answers.data("factor-exposures")["factors"]
    assert len(factors) == 12
    (bars,) = plot(page, "plot-exposures")
    reaches = [None if item["std_err"] is None else Z_95 * item["std_err"] for item in factors]
    problems = differences(bars["y"], [item["name"] for item in factors])
    problems += differences(bars["x"], [item["exposure"] for item in factors])
    problems += differences(bars["error_x"]["array"], reaches)
    rows = [
        [
            item["name"],
            shown_ratio(item["exposure"], 4),
            shown_ratio(item["std_err"], 4),
            NONE
            if reach is None
            else f"{shown_ratio(item['exposure'] - reach, 2)} to {shown_ratio(item['exposure'] + reach, 2)}",
            shown_money(item["dollars"]),
            shown_ratio(item["per_invested"], 4),
            shown_percent(item["coverage"]),
        ]
        for item, reach in zip(factors, reaches, strict=True)
    ]
    return [*problems, *differences(numbers(page, "exposures"), rows)]


def _stress(page: Page, answers: Answers) -> list[str]:
    scenarios = sorted(answers.data("stress-test")["scenarios"], key=lambda item: float(item["correlated"]))
    assert len(scenarios) >= 20
    together, alone = plot(page, "plot-stress")
    problems = differences(together["y"], [item["name"] for item in scenarios])
    problems += differences(together["x"], _floats([item["correlated"] for item in scenarios]))
    problems += differences(alone["x"], _floats([item["direct"] for item in scenarios]))
    rows = [
        [
            item["name"],
            shown_money(item["correlated"], is_signed=True),
            shown_percent(item["share_of_equity"], 2, is_signed=True),
            shown_money(item["direct"], is_signed=True),
            item["category"].replace("_", " "),
            item["severity"],
        ]
        for item in scenarios
    ]
    return [*problems, *differences(numbers(page, "stress"), rows)]


def _risk(page: Page, answers: Answers) -> list[str]:
    volatility, risk = answers.data("volatility"), answers.data("risk")
    measured = [volatility[item] for item in ("realized_63", "realized_21", "expected_21")]
    (bars,) = plot(page, "plot-volatility")
    names = ("value_at_risk_95", "value_at_risk_99", "expected_shortfall_95", "expected_shortfall_99")
    tiles = {name: shown_money((risk[name] or {}).get("dollars")) for name in names}
    rows = numbers(page, "risk")
    exact = [
        *([NONE, shown_percent(value, 2)] for value in measured),
        *([tiles[name], shown_percent((risk[name] or {}).get("share_of_equity"), 2)] for name in names),
    ]
    return [
        *differences(bars["x"], measured),
        *differences({name: tile(page, "risk", name) for name in names}, tiles),
        *differences([row[1:] for row in rows], exact),
    ]


def _correlations(page: Page, answers: Answers) -> list[str]:
    data = answers.data("correlation-matrix")
    (heatmap,) = plot(page, "plot-correlation")
    tiles = {
        "mean_correlation": shown_ratio(data["mean_correlation"], 2),
        "diversification_ratio": shown_ratio(data["diversification_ratio"], 2),
        "effective_bets": shown_ratio(data["effective_bets"], 1),
    }
    rows = [
        [symbol, *(shown_ratio(value, 4) for value in row)]
        for symbol, row in zip(data["symbols"], data["matrix"], strict=True)
    ]
    return [
        *differences(heatmap["x"], data["symbols"]),
        *differences(heatmap["y"], data["symbols"]),
        *differences(heatmap["z"], data["matrix"]),
        *differences({name: tile(page, "correlation", name) for name in tiles}, tiles),
        *differences(numbers(page, "correlation"), rows),
    ]


def _sectors(page: Page, answers: Answers) -> list[str]:
    sectors = answers.data("sector-exposure")["sectors"]
    traces = plot(page, "plot-sectors")
    problems = differences(traces[0]["y"], [item["sector"] for item in sectors])
    problems += differences(traces[0]["x"], _floats([item["long"] for item in sectors]))
    if any(float(item["short"]) for item in sectors):
        problems += differences(traces[1]["x"], _floats([item["short"] for item in sectors]))
    rows = [
        [
            item["sector"],
            shown_percent(item["gross_share"]),
            *(shown_money(item[name]) for name in ("long", "short", "net")),
            shown_percent(item["net_share_of_equity"]),
            str(item["positions"]),
        ]
        for item in sectors
    ]
    return [*problems, *differences(numbers(page, "sectors"), rows)]


def _concentration(page: Page, answers: Answers) -> list[str]:
    data = answers.data("concentration")
    (bars,) = plot(page, "plot-concentration")
    tiles = {
        "effective_positions": shown_ratio(data["effective_positions"], 1),
        "top_3": shown_percent(data["top_3"]),
        "top_10": shown_percent(data["top_10"]),
        "herfindahl": f"{round(data['herfindahl']):,}",
    }
    rows = [
        [item["symbol"], shown_money(item["market_value"]), shown_percent(item["weight"], 2)]
        for item in data["largest"]
    ]
    return [
        *differences(bars["x"], [item["weight"] for item in data["largest"]]),
        *differences({name: tile(page, "concentration", name) for name in tiles}, tiles),
        *differences(numbers(page, "concentration"), rows),
    ]


def _positions(page: Page, answers: Answers) -> list[str]:
    """The first line of each cell, of each lot; what is written below it is another test's."""
    shown = [[row[key].split(" | ")[0] for key in POSITION] for row in positions(page)]
    return differences(sorted(shown), sorted(_position(item) for item in answers.positions))


POSITION = ("symbol", "quantity", "close", "market_value", "unrealized_pnl")


def _position(item: dict[str, Any]) -> list[str]:
    return [
        item["symbol"],
        shown_money(_short(item["quantity"], 0)),
        shown_money(_short(item["close"], 2)),
        shown_money(item["market_value"]),
        shown_money(item["unrealized_pnl"], is_signed=True),
    ]


def _short(text: str | None, places: int) -> str | None:
    """Without zeros at the end that say nothing; with so many decimal places at least."""
    if text is None:
        return None
    whole, _, part = text.partition(".")
    part = part.rstrip("0").ljust(places, "0")
    return f"{whole}.{part}" if part else whole
