"""`imprimatur webhooks …`: who is told, with which secret, what could not be delivered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services import show
from services.clock import SystemClock
from services.hr.webhooks import Subscriber, Subscribers, dead_letters, newest_position, replay
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
        ask(as_json, data, lambda settings: [each.shown() for each in subscribers(settings).all()], listed, False)

    @app.command()
    def rotate(
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


def subscribers(settings: Settings) -> Subscribers:
    return Subscribers(settings.data, settings.webhooks_inside)


def with_secret(subscriber: Subscriber) -> dict[str, Any]:
    return subscriber.shown() | {"secret": subscriber.secrets[0]}


def added(settings: Settings, url: str) -> dict[str, Any]:
    return with_secret(subscribers(settings).add(url, newest_position(settings.projector_url)))


def rotated(settings: Settings, subscriber: str, forget_old: bool) -> dict[str, Any]:
    if forget_old:
        return subscribers(settings).forget_old(subscriber).shown()
    return with_secret(subscribers(settings).rotate(subscriber))


def removed(settings: Settings, subscriber: str) -> dict[str, Any]:
    subscribers(settings).remove(subscriber)
    return {"removed": subscriber}


def again(settings: Settings, subscriber: str, event: str | None) -> dict[str, Any]:
    known = subscribers(settings).named(subscriber)
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
