"""Who is calling: the bearer token of a request, looked up on every request, so that a revocation holds at once."""

import re
from collections.abc import Callable
from datetime import datetime

from sigmasight_api.errors import ForbiddenError, UnauthenticatedError
from sigmasight_api.repository import Repository
from sigmasight_assets.storage.tokens import TokenHolder

# RFC 6750, with a length that no real token reaches.
AUTHORIZATION = re.compile(r"bearer +([A-Za-z0-9\-._~+/]{1,200}=*)", re.IGNORECASE | re.ASCII)


class Authenticator:
    """Admits callers by their ``Authorization`` header."""

    def __init__(self, repository: Repository, clock: Callable[[], datetime]) -> None:
        self._repository = repository
        self._clock = clock

    def admit(self, authorization: str | None, *, admin: bool) -> TokenHolder:
        """The holder of the token, an admin where ``admin`` asks for one.

        Raises ``UnauthenticatedError``, in the same words whether the token is unknown, expired or revoked, and
        ``ForbiddenError``. The token itself is never compared, only its SHA-256, so the time taken tells nothing about
        how much of a guess is right.
        """
        if authorization is None:
            raise UnauthenticatedError("Send an API token as `Authorization: Bearer TOKEN`.")
        match = AUTHORIZATION.fullmatch(authorization)
        holder = match and self._repository.find_holder(match.group(1), now=self._clock())
        if not holder:
            raise UnauthenticatedError("The API token is not valid.")
        if admin and not holder.is_admin:
            raise ForbiddenError("This route is for operators; it needs an admin's token.")
        return holder
