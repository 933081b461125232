"""What is kept with the materialisation of each session: its pictures first, then what is said of the whole run."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

# Sessions whose metadata are added one by one, in the order in which they are shown.
MOST_IN_ORDER = 120
# By asset: Markdown by session and name.
Pictures = Mapping[str, Mapping[date, Mapping[str, str]]]


def results(
    context: dg.AssetExecutionContext, metadata: Mapping[str, Mapping[str, Any]], pictures: Pictures
) -> Iterator[dg.MaterializeResult[None]]:
    """A result by asset for all sessions of the run, some with pictures of their own; ``metadata`` is by asset.

    What is added for one partition costs Dagster a copy of all that was added before. In a long range only what differs
    is added so, and pictures come last.
    """
    run = {date.fromisoformat(key): key for key in context.partition_keys}
    is_long = len(run) > MOST_IN_ORDER
    for asset, values in metadata.items():
        drawn = pictures.get(asset, {})
        for session in drawn if is_long else run:
            if session in run:
                own = _of_session({} if is_long else values, drawn.get(session, {}))
                context.add_asset_metadata(own, asset_key=asset, partition_key=run[session])
        yield dg.MaterializeResult(asset_key=asset, metadata=values if is_long else {})


def materializations(
    metadata: Mapping[str, Mapping[str, Any]], sessions: Sequence[date], pictures: Pictures
) -> Iterator[dg.AssetMaterialization]:
    """The good sessions of a range that is about to fail, to be yielded: what is only logged before a raise is lost.

    ``metadata`` is by asset.
    """
    for session in sessions:
        for asset, values in metadata.items():
            own = _of_session(values, pictures.get(asset, {}).get(session, {}))
            yield dg.AssetMaterialization(asset, partition=str(session), metadata=own)


def _of_session(values: Mapping[str, Any], pictures: Mapping[str, str]) -> dict[str, Any]:
    return {**{name: dg.MetadataValue.md(picture) for name, picture in pictures.items()}, **values}
