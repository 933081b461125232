"""What the API answers about a portfolio, asked beside the page."""

from dataclasses import dataclass
from typing import Any

import httpx

ANALYTICS = (
    *("overview", "performance", "factor-exposures", "stress-test", "volatility", "risk", "correlation-matrix"),
    *("sector-exposure", "concentration"),
)

Document = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """All that the owner's page shows; ``documents`` by the last part of the path."""

    portfolio: Document
    documents: dict[str, Document]
    positions: list[Document]
    snapshots: list[Document]

    def data(self, name: str) -> Document:
        """The data of an analytics answer."""
        found: Document = self.documents[name]["data"]
        return found


def read_answers(api: httpx.Client, name: str) -> Answers:
    """Everything about the portfolio of this name."""
    (portfolio,) = (item for item in _items(api, "portfolios") if item["name"] == name)
    identifier = portfolio["portfolio_id"]
    return Answers(
        portfolio,
        {item: read(api, f"analytics/portfolio/{identifier}/{item}") for item in ANALYTICS},
        _items(api, f"portfolios/{identifier}/positions"),
        _items(api, f"portfolios/{identifier}/snapshots"),
    )


def read(api: httpx.Client, path: str) -> Document:
    """One answer, which is a success."""
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    document: Document = answer.json()
    return document


def _items(api: httpx.Client, path: str) -> list[Document]:
    document = read(api, f"{path}?limit=1000")
    items: list[Document] = document["items"]
    assert len(items) == document["total"]
    return items
