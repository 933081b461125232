"""Who is calling: the bearer token of a request, looked up on every request, so that a revocation holds at once."""

import re

from sigmasight_api.admission import Admissions, Admitted
from sigmasight_api.books import public_id_in
from sigmasight_api.errors import ForbiddenError, UnauthenticatedError
from sigmasight_assets.storage.tokens import token_hash

# RFC 6750, with a length that no real token reaches.
AUTHORIZATION = re.compile(r"bearer +([A-Za-z0-9\-._~+/]{1,200}=*)", re.IGNORECASE | re.ASCII)


class Authenticator:
    """Admits callers by their ``Authorization`` header."""

    def __init__(self, admissions: Admissions) -> None:
        self._admissions = admissions

    async def admit(self, authorization: str | None, *, admin: bool, portfolio: str | None = None) -> Admitted:
        """The holder of the token, an admin where ``admin`` asks for one, and the ``portfolio`` if it is the holder's.

        Raises ``UnauthenticatedError``, in the same words whether the token is unknown, expired or revoked, and
        ``ForbiddenError``. The token itself is never compared: its SHA-256 is a key of an index, and of 256 random bits
        the time taken tells nothing about how much of a guess is right.
        """
        if authorization is None:
            raise UnauthenticatedError("Send an API token as `Authorization: Bearer TOKEN`.")
        match = AUTHORIZATION.fullmatch(authorization)
        wanted = None if portfolio is None else public_id_in(portfolio)
        admitted = match and await self._admissions.find(token_hash(match.group(1)), wanted)
        if not admitted:
            raise UnauthenticatedError("The API token is not valid.")
        if admin and not admitted.holder.is_admin:
            raise ForbiddenError("This route is for operators; it needs an admin's token.")
        return admitted
