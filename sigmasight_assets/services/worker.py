"""A worker of Celery on this machine: its environment, and the command that it is.

Secrets reach it by environment only, as they reach every service.
"""

import sys

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.stack import service_environment, write_instance_settings
from sigmasight_assets.settings import Settings

APPLICATION = "sigmasight_assets.orchestration.celery_worker"


def prepare_worker(settings: Settings, name: str) -> tuple[list[str], dict[str, str]]:
    """Make this machine ready for a worker; its command and its environment.

    Raises ``ConfigurationError`` when it could reach no database or no broker, ``ServiceError`` without instance file.
    """
    missing = {
        "SIGMASIGHT_DATABASE_URL": (settings.database_url, "the database that all machines share"),
        "SIGMASIGHT_BROKER_URL": (settings.broker_url, "the Redis that hands runs to workers"),
        "SIGMASIGHT_DAGSTER_CONFIG": (settings.dagster_config, "an instance file that launches runs by workers"),
    }
    wanted = [f"{variable}: {what}" for variable, (value, what) in missing.items() if not value]
    if wanted:
        raise ConfigurationError("A worker needs\n" + "\n".join(wanted))
    Home.at(settings.home).create()
    write_instance_settings(settings)
    return _command(name), service_environment(settings, settings.database_url, settings.ui_port)


def _command(name: str) -> list[str]:
    """One run at a time, in a process of its own, which the worker itself outlives and can interrupt."""
    pool = ("--pool", "prefork", "--concurrency", "1")
    # Workers need not know of each other.
    quiet = ("--without-gossip", "--without-mingle")
    program = (sys.executable, "-m", "celery", "--app", APPLICATION, "worker")
    return [*program, *pool, *quiet, "--hostname", f"{name}@%h", "--loglevel", "INFO"]
