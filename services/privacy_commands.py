"""`imprimatur keys …` and `imprimatur holds`: what the record's privacy needs of whoever runs the system."""

from __future__ import annotations

from typing import Any

import psycopg
import typer

from domain.facts import Malformed
from services import show
from services.commands.call import Call, Told, command, told
from services.door import key_encryption_key
from services.holds import holds
from services.key_rotation import rotate
from services.key_store import CannotOpen
from services.settings import Settings

app = typer.Typer()
key_app = typer.Typer(no_args_is_help=True, help="The keys of what is sealed.")
KEY_FILE = "the key-encryption key is in a file of the machine that keeps it"
STANDING = (
    "select (select kek from keys.current), (select count(*) from keys.wrapping), (select count(*) from keys.destroyed)"
)


@command(key_app, "rotate", here=KEY_FILE)
def rotate_(call: Call) -> Told:
    """Wrap every key anew under another key-encryption key, and destroy the one of before."""
    return told(rotated(call.settings), in_words)


@command(key_app, here=KEY_FILE)
def status(call: Call) -> Told:
    """Which key-encryption key is in use, and how many keys it wraps; nothing secret."""
    return told(standing(call.settings), how_it_stands)


@command(app, "holds")
def holds_(call: Call) -> Told:
    """The legal holds that stand: over what, and who placed them."""
    found = call.ask(lambda desk: desk.of_the_ledger(holds), lambda far: far.get("/holds"))
    return told(found, holds_in_words)


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
    inside = file.file.absolute().is_relative_to(settings.data.absolute())
    return {
        "file": str(file.file), "inside_data": inside, "kek": kek, "keys": keys, "destroyed": destroyed, "there": there,
    }  # fmt: skip


def how_it_stands(told: dict[str, Any]) -> str:
    there = "it is there" if told["there"] else "IT IS NOT THERE: nothing that is sealed can be opened"
    apart = (
        "\nIt is inside DATA, so every copy of DATA carries it: stop the system and move it (docs/privacy.md)"
        if told["inside_data"]
        else ""
    )
    return (
        f"{told['keys']} keys are wrapped by {told['kek'] or 'none yet'}, from {told['file']}: {there}\n"
        f"{told['destroyed']} keys were destroyed{apart}"
    )


def holds_in_words(found: list[dict[str, Any]]) -> str:
    rows = [(each["hold"], each["over"], each["of"] or "-", each["by"]) for each in found]
    return show.table(rows, ("hold", "over", "of", "placed by")) if rows else "No legal hold stands"

