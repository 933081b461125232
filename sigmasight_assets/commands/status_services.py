"""Whether the services of this home run, and from what the API answers."""

from dataclasses import dataclass
from typing import Any

import httpx

from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import LOOPBACK
from sigmasight_assets.services.run import run_process
from sigmasight_assets.services.stack import running_graphql_url
from sigmasight_assets.settings import Settings

ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServicesStatus:
    """The services that this home has started.

    ``dagster`` is the address of its UI, None while it is down: then nothing runs by itself. ``api`` is the API's mode
    (loading, cache or db_fallback), None while it is down; ``reason`` says why it is not ``cache``.
    """

    dagster: str | None
    api: str | None
    reason: str | None = None


def read_services(settings: Settings) -> ServicesStatus:
    """Look at the services of the home of these settings; those of other machines are not known."""
    home = Home.at(settings.home)
    graphql = running_graphql_url(home) if home.exists() else None
    api, reason = _api(settings) if run_process(settings) is not None else (None, None)
    return ServicesStatus(None if graphql is None else graphql.removesuffix("/graphql"), api, reason)


def _api(settings: Settings) -> tuple[str | None, str | None]:
    """The API's mode and why it is that; None when it does not answer."""
    address = f"http://{LOOPBACK}:{settings.api_port}/health/ready"
    try:
        document: Any = httpx.get(address, timeout=ANSWER_SECONDS, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return None, None
    if not isinstance(document, dict) or "mode" not in document:
        return None, None
    return str(document["mode"]), document.get("reason") or document.get("detail")
