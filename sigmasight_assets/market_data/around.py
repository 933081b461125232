"""What sources have in common that stand around another one: they are called, and are asked, as it is."""

from abc import ABC, abstractmethod

from sigmasight_assets.market_data.protocol import MarketSource


class SourceAround(ABC):
    """A source with the properties of the ``inner`` one, but for those that a subclass has itself."""

    @property
    @abstractmethod
    def inner(self) -> MarketSource:
        """The source that this one stands around."""

    @property
    def name(self) -> str:
        """The inner source's."""
        return self.inner.name

    @property
    def supplies_corporate_actions(self) -> bool:
        """The inner source's."""
        return self.inner.supplies_corporate_actions

    @property
    def supplies_dated_profiles(self) -> bool:
        """The inner source's."""
        return self.inner.supplies_dated_profiles

    @property
    def symbols_per_call(self) -> int:
        """The inner source's; whatever else is asked is asked in calls of its own size."""
        return self.inner.symbols_per_call

    @property
    def own_calls(self) -> int | None:
        """The inner source's."""
        return self.inner.own_calls
