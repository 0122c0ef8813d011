"""`imprimatur webhooks …`: who is told, with which secret, what could not be delivered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from eventsourcing.persistence import PersistenceError
from psycopg import Error as DatabaseError

from services import show
from services.clock import SystemClock
from services.commands.call import Call, Told, command, told
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

app = typer.Typer(no_args_is_help=True, help="Telling HR's systems what they may know.")
SECRETS = "the secrets by which subscribers know us lie in DATA"

OneEvent = Annotated[str | None, typer.Option("--event", help="one event, whatever became of it; else the dead ones")]
ForgetOld = Annotated[bool, typer.Option("--forget-old", help="the newest secret alone signs from now on")]


@command(app, here=SECRETS)
def add(call: Call, url: str) -> Told:
    """Tell this address from now on; prints the secret by which it knows us, once."""
    return told(added(call.settings, url), lambda made: f"{made['id']}\n{made['secret']}")


@command(app, "list", here=SECRETS)
def list_(call: Call) -> Told:
    """Who is told."""
    return told(all_of_them(call.settings), listed)


@command(app, "rotate", here=SECRETS)
def rotate_(call: Call, subscriber: str, forget_old: ForgetOld = False) -> Told:
    """A new secret; the one before it signs too, until --forget-old."""
    return told(rotated(call.settings, subscriber, forget_old), secret_or_not)


@command(app, here=SECRETS)
def remove(call: Call, subscriber: str) -> Told:
    """Tell this address no more."""
    return told(removed(call.settings, subscriber), gone)


@command(app, here=SECRETS)
def dead(call: Call) -> Told:
    """What was given up; exit 1 when there is any."""
    found = dead_letters(call.settings.projector_url)
    return told(found, given_up, wrong=bool(found))


@command(app, "replay", here=SECRETS)
def replay_(call: Call, subscriber: str, event: OneEvent = None) -> Told:
    """Tell it again, under the same id."""
    return told(again(call.settings, subscriber, event), told_again)


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
