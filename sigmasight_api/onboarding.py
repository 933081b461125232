"""The queue of symbols to be onboarded, as operators see it and add to it. Knows nothing of HTTP."""

from typing import Any

from sigmasight_api.onboarding_schemas import NewOnboarding, OnboardingStatus
from sigmasight_api.repository import Page, Repository
from sigmasight_api.schemas import Listing
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import read_newest_requests, request_onboarding


class OnboardingQueue:
    """Lists requests and makes new ones; nobody waits here for what a request brings about."""

    def __init__(self, repository: Repository, database: Database) -> None:
        self._repository = repository
        self._database = database

    def requests(self, page: Page) -> Listing[OnboardingStatus]:
        """All requests, newest first."""
        rows = self._repository.read_onboarding(page)
        items = [_status(row) for row in rows.items]
        return Listing[OnboardingStatus](items=items, total=rows.total)

    def ask(self, wanted: NewOnboarding, *, user: str) -> OnboardingStatus:
        """Ask for a symbol; the request that is open for it afterwards, which may be an earlier one."""
        with self._database.begin() as connection:
            request_onboarding(connection, [wanted.symbol], requested_by=f"operator {user}", priority=wanted.priority)
            request = read_newest_requests(connection, [wanted.symbol])[wanted.symbol]
        return _status(request)


def _status(request: Any) -> OnboardingStatus:
    return OnboardingStatus.model_validate({name: getattr(request, name) for name in OnboardingStatus.model_fields})
