"""Put newly read figures of some symbols into a view of all: how an onboarded symbol comes in without a new load."""

from dataclasses import replace
from typing import Any

import numpy as np

from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import IntArray

ROW_COLUMNS = (
    "close",
    "close_session",
    "provider_beta",
    "betas",
    "quality",
    "std_errors",
    "factors_session",
    "is_fund",
    "returns",
)


def with_symbols(view: MarketView, part: MarketView) -> MarketView:
    """The view with all that ``part`` knows of the symbols in its scope, those it has no figures of being gone.

    Both are as of the same session; what is not of single symbols comes from ``part``, which was read later.
    Raises ``ValueError`` when the two hold different sessions.
    """
    if not np.array_equal(view.sessions, part.sessions) or part.scope is None:
        raise ValueError(f"A part as of {part.as_of} does not fit a view as of {view.as_of}")
    scope = part.scope
    kept = [row for row, symbol in enumerate(view.symbols) if symbol not in scope]
    names = [*(view.symbols[row] for row in kept), *part.symbols]
    order = np.argsort(np.array(names, dtype=object))
    places = np.empty(len(names), dtype=np.int64)
    places[order] = np.arange(len(names))
    old_rows: IntArray = np.full(len(view.symbols), -1, dtype=np.int64)
    old_rows[kept] = places[: len(kept)]

    columns: dict[str, Any] = {
        name: np.concatenate([getattr(view, name)[kept], getattr(part, name)])[order] for name in ROW_COLUMNS
    }
    sectors = [*(view.sectors[row] for row in kept), *part.sectors]
    others = {key: reason for key, reason in view.reasons.items() if key[0] not in scope}
    return replace(
        part,
        symbols=tuple(names[row] for row in order.tolist()),
        sectors=tuple(sectors[row] for row in order.tolist()),
        share_units=view.share_units.merged(old_rows, part.share_units, places[len(kept) :]),
        reasons={**others, **part.reasons},
        scope=view.scope,
        **columns,
    )
