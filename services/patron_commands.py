"""`imprimatur consent …`, `imprimatur picture …` and `imprimatur revocations`: what staff ask at the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from domain.facts import Channel, Malformed
from services import show
from services.desk import Caller, Desk
from services.patron_desk import add_picture, find_patrons, may_be_used, receipt_of

Json = Annotated[bool, typer.Option("--json", help="one JSON value on standard output, nothing else there")]
Data = Annotated[Path, typer.Option("--data", envvar="IMPRIMATUR_DATA", help="folder of the embedded system")]
At = Annotated[str | None, typer.Option("--at", help="RFC 3339 time, such as 2026-03-02T09:00:00-06:00")]
As = Annotated[str, typer.Option("--as", help="person id from the staff directory")]
Account = Annotated[str | None, typer.Option("--account", help="an account, or print:NAME; any, where nothing is said")]
Said = Annotated[str, typer.Argument(metavar="SAID.json", help="a file, or - for standard input")]
DEFAULT_DATA = Path("var")
METHOD = "access to the installation"

# puts a question to the desk and tells the answer, as every command of the line does
Asking = Callable[[bool, Path, Callable[[Desk], Awaitable[Any]], Callable[[Any], str]], NoReturn]
Moment = Callable[[str | None], datetime | None]


def consent_commands(ask: Asking, moment: Moment) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="Consents, and what may be used by them.")

    @app.command("may-use")
    def may_use(
        content: str, account: Account = None, at: At = None, data: Data = DEFAULT_DATA, as_json: Json = False
    ) -> None:
        """May this be used, now or as of a moment, and what makes it so."""
        ask(as_json, data, lambda desk: may_be_used(desk, content, account, moment(at)), may_in_words)

    @app.command()
    def receipt(case: str, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """The receipt of a consent, to hand to the patron: what it is for, and how to take it back."""
        ask(as_json, data, lambda desk: receipt_of(desk, case), receipt_in_words)

    @app.command("list")
    def list_(
        standing: Annotated[str | None, typer.Option("--standing", help="such as active")] = None,
        data: Data = DEFAULT_DATA,
        as_json: Json = False,
    ) -> None:
        """The consent register."""
        ask(as_json, data, lambda desk: desk.in_a_thread(lambda: desk.views.consents(standing)), consents)

    @app.command("uses")
    def uses_(
        content: Annotated[str | None, typer.Option("--content", help="of this content alone")] = None,
        data: Data = DEFAULT_DATA,
        as_json: Json = False,
    ) -> None:
        """The register of uses."""
        ask(as_json, data, lambda desk: desk.in_a_thread(lambda: desk.views.uses(content)), uses)

    @app.command()
    def find(
        as_person: As, said: Said = "-", data: Data = DEFAULT_DATA, as_json: Json = False
    ) -> None:
        """Whoever fits what a patron can say: a JSON object of name, email, telephone, handle, from a file or `-`."""
        ask(as_json, data, lambda desk: find_patrons(desk, read(said), caller(as_person)), found)

    return app


def picture_commands(ask: Asking) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="Pictures of people.")

    @app.command()
    def add(
        case: str, file: Path, as_person: As, data: Data = DEFAULT_DATA, as_json: Json = False
    ) -> None:
        """Add the picture itself to its case, freed of place and camera."""
        ask(as_json, data, lambda desk: add_picture(desk, case, bytes_of(file), caller(as_person)), added)

    return app


def add_revocations(app: typer.Typer, ask: Asking) -> None:
    @app.command()
    def revocations(
        only_open: Annotated[bool, typer.Option("--open", help="those that are not over")] = False,
        data: Data = DEFAULT_DATA,
        as_json: Json = False,
    ) -> None:
        """How far each revocation is."""
        ask(as_json, data, lambda desk: desk.in_a_thread(lambda: desk.views.revocations(only_open)), how_far)


def caller(person: str) -> Caller:
    return Caller(person, METHOD, Channel.CLI)


def read(source: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        said = json.loads(text)
    except (OSError, ValueError):
        raise Malformed("SAID.json", "not a JSON object that can be read", '{"name": "…"}') from None
    if not isinstance(said, dict):
        raise Malformed("SAID.json", "not a JSON object", '{"name": "…"}')
    return said


def bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Malformed("file", f"{file} cannot be read ({type(error).__name__})", "a file that can") from None


def may_in_words(told: dict[str, Any]) -> str:
    if told["may"]:
        by = ", ".join(each["consent"] for each in told["bases"]) or "nobody can be recognised in it"
        return f"{told['content']} may be used ({by})"
    against = [
        f"  {', '.join(each['clauses'])}: {each['because']}\n    What would pass: {each['remedy']}"
        for each in told["against"]
    ]
    partly = ["It may be used once everyone without a basis is made unrecognisable."] if told["partly"] else []
    return "\n".join([f"{told['content']} may not be used:", *against, *partly])


def receipt_in_words(told: dict[str, Any]) -> str:
    return (
        f"Receipt {told['record_id']}: {told['consent_status']}\nFor: {told['processing']['purpose_of']}\n"
        f"How to take it back: {told['withdrawal']['how']}"
    )


def consents(told: list[dict[str, Any]]) -> str:
    rows = [(each["case"], each["form"], each["place"], each["standing"], day(each["until"])) for each in told]
    return show.table(rows, ("consent", "form", "place", "stands", "until"))


def uses(told: list[dict[str, Any]]) -> str:
    rows = [
        (each["use_id"], each["content"], each["target"], day(each["since"]), day(each["ended_at"])) for each in told
    ]
    return show.table(rows, ("use", "content", "where", "since", "until"))


def how_far(told: list[dict[str, Any]]) -> str:
    rows = [
        (each["case"], each["stage"], str(each["uses_found"]), str(each["to_remove"]), day(each["next_due"]))
        for each in told
    ]
    return show.table(rows, ("revocation", "stage", "uses", "left", "next due"))


def found(told: list[dict[str, Any]]) -> str:
    return "\n".join(f"{each['patron']}: {', '.join(each['on_record']) or 'nothing'}" for each in told) or "Nobody fits"


def added(told: dict[str, Any]) -> str:
    if told.get("refused"):
        return show.refusal(told["refused"])
    had = "; where it was taken was left out" if told["taken"]["had_location"] else ""
    return f"The picture is added ({told['taken']['width']} by {told['taken']['height']}{had})"


def day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}" if isinstance(moment, datetime) else (str(moment)[:10] if moment else "-")
