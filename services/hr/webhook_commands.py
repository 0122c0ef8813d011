"""`imprimatur webhooks …`: who is told, with which secret, what could not be delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from eventsourcing.persistence import PersistenceError
from psycopg import Error as DatabaseError

from services import show
from services.clock import SystemClock
from services.desk import Unreachable
from services.hr.subscribing import (
    Secrets,
    Subscriber,
    end,
    forget_old,
    named,
    open_ones,
    rotate,
    subscribe,
    with_secrets,
)
from services.hr.webhooks import dead_letters, newest_position, replay
from services.ledger import Ledger
from services.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="one JSON value on standard output, nothing else there")]
Data = Annotated[Path, typer.Option("--data", envvar="IMPRIMATUR_DATA", help="folder of the embedded system")]
OneEvent = Annotated[str | None, typer.Option("--event", help="one event, whatever became of it; else the dead ones")]
ForgetOld = Annotated[bool, typer.Option("--forget-old", help="the newest secret alone signs from now on")]
DEFAULT_DATA = Path("var")

Asking = Callable[[bool, Path, Callable[[Settings], Any], Callable[[Any], str], bool], NoReturn]


def webhook_commands(ask: Asking) -> typer.Typer:
    """`ask` puts a question to the installation and tells the answer; its last argument: any answer means trouble."""
    app = typer.Typer(no_args_is_help=True, help="Telling HR's systems what they may know.")

    @app.command()
    def add(url: str, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Tell this address from now on; prints the secret by which it knows us, once."""
        ask(as_json, data, lambda settings: added(settings, url), lambda told: f"{told['id']}\n{told['secret']}", False)

    @app.command("list")
    def list_(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Who is told."""
        ask(as_json, data, all_of_them, listed, False)

    @app.command("rotate")
    def rotate_(
        subscriber: str, forget_old: ForgetOld = False, data: Data = DEFAULT_DATA, as_json: Json = False
    ) -> None:
        """A new secret; the one before it signs too, until --forget-old."""
        ask(as_json, data, lambda settings: rotated(settings, subscriber, forget_old), secret_or_not, False)

    @app.command()
    def remove(subscriber: str, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Tell this address no more."""
        ask(as_json, data, lambda settings: removed(settings, subscriber), gone, False)

    @app.command()
    def dead(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """What was given up; exit 1 when there is any."""
        ask(as_json, data, lambda settings: dead_letters(settings.projector_url), given_up, True)

    @app.command("replay")
    def replay_(subscriber: str, event: OneEvent = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Tell it again, under the same id."""
        ask(as_json, data, lambda settings: again(settings, subscriber, event), told_again, False)

    return app


@contextmanager
def office(settings: Settings) -> Iterator[tuple[Ledger, Secrets]]:
    """The one door, and the secrets beside it."""
    ledger = Ledger(settings.recorder_url, SystemClock(), pool_size=1)
    try:
        yield ledger, Secrets.of_data(settings.data)
    except (PersistenceError, DatabaseError) as error:
        raise Unreachable("PostgreSQL") from error
    finally:
        ledger.close()


def with_secret(subscriber: Subscriber) -> dict[str, Any]:
    return subscriber.shown() | {"secret": subscriber.secrets[0]}


def added(settings: Settings, url: str) -> dict[str, Any]:
    with office(settings) as (ledger, secrets):
        since = newest_position(settings.projector_url)
        return with_secret(subscribe(ledger, secrets, url, since, settings.webhooks_inside))


def all_of_them(settings: Settings) -> list[dict[str, Any]]:
    with office(settings) as (ledger, secrets):
        return [with_secrets(each, secrets).shown() for each in open_ones(ledger).open]


def rotated(settings: Settings, subscriber: str, forget: bool) -> dict[str, Any]:
    with office(settings) as (ledger, secrets):
        if forget:
            return forget_old(ledger, secrets, subscriber).shown()
        return with_secret(rotate(ledger, secrets, subscriber))


def removed(settings: Settings, subscriber: str) -> dict[str, Any]:
    with office(settings) as (ledger, secrets):
        end(ledger, secrets, subscriber)
    return {"removed": subscriber}


def again(settings: Settings, subscriber: str, event: str | None) -> dict[str, Any]:
    with office(settings) as (ledger, secrets):
        known = named(ledger, secrets, subscriber)
    return {"again": replay(settings.projector_url, known.id, event, SystemClock().now())}


def listed(found: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = [
        (each["id"], str(each["since"]), str(each["secrets"]), each["url"]) for each in found
    ]
    return show.table(rows, ("subscriber", "since", "secrets", "url")) if rows else "Nobody is told"


def given_up(found: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = [(each["subscriber"], each["event_id"], each["code"], each["kind"]) for each in found]
    return show.table(rows, ("subscriber", "event", "code", "what")) if rows else "Nothing was given up"


def secret_or_not(told: dict[str, Any]) -> str:
    return str(told.get("secret", "The newest secret alone signs from now on"))


def gone(told: dict[str, Any]) -> str:
    return f"{told['removed']} is told no more"


def told_again(told: dict[str, Any]) -> str:
    return f"{len(told['again'])} will be told again"
