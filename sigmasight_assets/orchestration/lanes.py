"""Lanes of runs: which places of the queue a run may take (dagster.yaml), and whether it goes first in the database."""

from collections.abc import Mapping

# A tag of the job, not of its runs alone: only those reach a run that is launched over GraphQL. A request may put its
# run into another lane.
LANE_TAG = "sigmasight/lane"
SYMBOL, NIGHTLY, PORTFOLIO, ONBOARDING = "symbol", "nightly", "portfolio", "onboarding"
# Of helpers, which are in no lane and have places of their own (dagster.yaml): there are as many as workers.
HELPER_TAG = "sigmasight/helper"


def takes_precedence(tags: Mapping[str, str]) -> bool:
    """Whether long runs give way to a run with these tags: the night does not wait for a backfill, nor do people."""
    return tags.get(LANE_TAG) in (NIGHTLY, ONBOARDING)


def gives_way(tags: Mapping[str, str]) -> bool:
    """Whether a run with these tags lets those go first: backfills and runs by hand, also from the asset graph."""
    return tags.get(LANE_TAG, SYMBOL) == SYMBOL and HELPER_TAG not in tags
