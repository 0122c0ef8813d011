"""The parts of the system as processes of their own: worker, projector, API; and the migration."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from domain.facts import Malformed
from services.database import ROLES, migrate
from services.settings import DatabaseRole, NotRunning, Settings, SettingsError

MALFORMED_CALL = 2


def main() -> int:
    """`python -m services.parts NAME`, by settings from the environment or of the folder named there."""
    try:
        serve_part(sys.argv[1], settings_of_this_part())
    except (SettingsError, NotRunning, Malformed) as error:
        sys.stderr.write(f"{error}\n")
        return MALFORMED_CALL
    return 0


def settings_of_this_part() -> Settings:
    data = os.environ.get("IMPRIMATUR_DATA")
    return Settings.of_data(Path(data)) if data else Settings.load()


def serve_part(name: str, settings: Settings) -> None:
    """Run one part until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    match name:
        case "worker":
            asyncio.run(serve_worker(settings))
        case "projector":
            serve_projector(settings)
        case "api":
            from services.api.app import run_api

            run_api(settings)
        case _:
            raise Malformed("NAME", f"there is no part {name}", "worker, projector or api")


async def serve_worker(settings: Settings) -> None:
    from services.worker import run_worker

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stop.set)
    await run_worker(settings, stop)


def serve_projector(settings: Settings) -> None:
    from services.projector import run_projector

    stop = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: stop.set())
    run_projector(settings, stop)


def migrate_by_settings(settings: Settings) -> None:
    if settings.superuser_url is None:
        raise SettingsError("set IMPRIMATUR_SUPERUSER_URL: making roles and tables needs whoever may make them")
    passwords = {role: settings.password_of(DatabaseRole(role)) or "" for role in ROLES}
    migrate(settings.superuser_url.get_secret_value(), passwords)


if __name__ == "__main__":
    sys.exit(main())
