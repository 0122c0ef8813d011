"""`imprimatur keys …` and `imprimatur holds`: what the record's privacy needs of whoever runs the system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import psycopg
import typer

from domain.facts import Malformed
from services import show
from services.door import key_encryption_key
from services.key_rotation import rotate
from services.key_store import CannotOpen
from services.ledger import Ledger
from services.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="one JSON value on standard output, nothing else there")]
Data = Annotated[Path, typer.Option("--data", envvar="IMPRIMATUR_DATA", help="folder of the embedded system")]
DEFAULT_DATA = Path("var")
STANDING = (
    "select (select kek from keys.current), (select count(*) from keys.wrapping), (select count(*) from keys.destroyed)"
)

Asking = Callable[[bool, Path, Callable[[Settings], Any], Callable[[Any], str], bool], NoReturn]
AskingTheLedger = Callable[[bool, Path, Callable[..., Any], Callable[[Any], str]], NoReturn]


def key_commands(ask: Asking) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="The keys of what is sealed.")

    @app.command("rotate")
    def rotate_(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Wrap every key anew under another key-encryption key, and destroy the one of before."""
        ask(as_json, data, rotated, in_words, False)

    @app.command()
    def status(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Which key-encryption key is in use, and how many keys it wraps; nothing secret."""
        ask(as_json, data, standing, how_it_stands, False)

    return app


def rotated(settings: Settings) -> dict[str, Any]:
    try:
        return rotate(settings.keeper_url, key_encryption_key(settings))._asdict()
    except CannotOpen as error:
        raise Malformed("key file", str(error), "IMPRIMATUR_KEY_FILE with the key that this database names") from None
    except psycopg.errors.LockNotAvailable:
        raise Malformed("keys", "another rotation runs", "the same again when it is over") from None


def in_words(told: dict[str, Any]) -> str:
    return (
        f"{told['survivors']} keys are wrapped by {told['after']} now; {told['before']} is destroyed.\n"
        "Make a new backup of the key file: the one you have opens nothing of what is stored from now on."
    )


def standing(settings: Settings) -> dict[str, Any]:
    file = key_encryption_key(settings)
    with psycopg.connect(settings.keeper_url, connect_timeout=2) as conn:
        kek, keys, destroyed = conn.execute(STANDING).fetchone() or ("", 0, 0)
    there = kek is None or file.named(kek) is not None
    return {"file": str(file.file), "kek": kek, "keys": keys, "destroyed": destroyed, "there": there}


def how_it_stands(told: dict[str, Any]) -> str:
    there = "it is there" if told["there"] else "IT IS NOT THERE: nothing that is sealed can be opened"
    return (
        f"{told['keys']} keys are wrapped by {told['kek'] or 'none yet'}, from {told['file']}: {there}\n"
        f"{told['destroyed']} keys were destroyed"
    )


def holds(ledger: Ledger) -> list[dict[str, Any]]:
    """Legal holds that stand; their reasons stay sealed."""
    return [each.model_dump(mode="json", exclude={"reason"}) for each in ledger.library().legal_holds()]


def holds_in_words(found: list[dict[str, Any]]) -> str:
    rows = [(each["hold"], each["over"], each["of"] or "-", each["by"]) for each in found]
    return show.table(rows, ("hold", "over", "of", "placed by")) if rows else "No legal hold stands"


def add_holds(app: typer.Typer, ask: AskingTheLedger) -> None:
    @app.command("holds")
    def holds_(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """The legal holds that stand: over what, and who placed them."""
        ask(as_json, data, holds, holds_in_words)
