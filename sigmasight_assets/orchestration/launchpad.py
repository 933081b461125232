"""What an operator may set in the launchpad, with the words that it shows beside each option.

Dagster fills the launchpad with the defaults and shows the description of the option under the cursor. The tag
``sigmasight/force`` means the same as the option, for those who launch runs without configuration.
"""

from collections.abc import Mapping

import dagster as dg
from pydantic import Field

from sigmasight_assets.errors import OnboardingError
from sigmasight_assets.market_data.options import OCC_SYMBOL
from sigmasight_assets.market_data.protocol import TICKER
from sigmasight_assets.runs import FORCE_TAG


class SymbolProductsOptions(dg.Config):
    """Betas, covariances, metrics of the chosen sessions. Without force only what is missing or stale is computed."""

    force: bool = Field(
        default=False,
        description="true: compute and publish also what is fresh, of every symbol and every chosen product. Needed "
        "only when stored figures are in doubt; it takes as long as the first time, and a new generation. Prices are "
        "not asked for again.",
    )


class PortfolioProductsOptions(dg.Config):
    """Snapshots and exposures of the chosen sessions. Without force only portfolios that something changed for."""

    force: bool = Field(
        default=False,
        description="true: compute and publish every portfolio of the chosen sessions, changed or not. Needed only "
        "when stored snapshots are in doubt; it takes a new generation. The sessions' symbol products must be "
        "published, and the snapshots before them must exist.",
    )


class PortfolioSlicesOptions(dg.Config):
    """Which run to help. Without any, whatever runs announce, until there is nothing for half a minute."""

    first: str = Field(
        default="",
        description="First session of the range that is helped with, such as 2025-06-02; without it, the newest one's.",
    )
    last: str = Field(
        default="", description="Last session of the range that is helped with. What the helped run announces counts."
    )
    input_hash: str = Field(
        default="",
        description="Hash of the inputs that the helped run was started for, as the gate has it; without it, any run.",
    )


class OnboardingOptions(dg.Config):
    """Symbols to bring in at once. Without any, the requests that are due."""

    symbols: list[str] = Field(
        default=[],
        description="Tickers as the market spells them, such as [BRK-B, NVDA], or option contracts, asked for before "
        "the requests that are due are worked off. Also one that failed before is tried anew.",
    )

    def checked_symbols(self) -> list[str]:
        """The symbols, each once; ``OnboardingError`` names those that cannot be one."""
        wrong = [item for item in self.symbols if not (TICKER.fullmatch(item) or OCC_SYMBOL.fullmatch(item))]
        if wrong:
            raise OnboardingError(f"No ticker such as BRK-B, and no option contract: {', '.join(map(repr, wrong))}")
        return list(dict.fromkeys(self.symbols))


def is_forced(force: bool, tags: Mapping[str, str]) -> bool:
    """Whether the option or the tag of the run asks for everything to be computed."""
    return force or tags.get(FORCE_TAG) == "true"
