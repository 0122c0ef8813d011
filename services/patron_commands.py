"""`imprimatur consent …`, `imprimatur picture …` and `imprimatur revocations`: what staff ask at the command line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.openings import Purpose
from services import show
from services.commands.call import As, At, Call, Out, Told, command, fields_of, read_bytes, told
from services.commands.evidence import Reader, WhatFor, not_there_yet, reader, taken_out
from services.evidence_desk import picture_of
from services.moments import moment
from services.patron_desk import add_picture, find_patrons, may_be_used, receipt_of
from services.remote import under

app = typer.Typer()
consent_app = typer.Typer(no_args_is_help=True, help="Consents, and what may be used by them.")
picture_app = typer.Typer(no_args_is_help=True, help="Pictures of people.")

Account = Annotated[str | None, typer.Option("--account", help="an account, or print:NAME; any, where nothing is said")]
Said = Annotated[str, typer.Argument(metavar="SAID.json", help="a file, or - for standard input")]
Standing = Annotated[str | None, typer.Option("--standing", help="such as active")]
Content = Annotated[str | None, typer.Option("--content", help="of this content alone")]
OnlyOpen = Annotated[bool, typer.Option("--open", help="those that are not over")]


@command(consent_app, "may-use")
def may_use(call: Call, content: str, account: Account = None, at: At = None) -> Told:
    """May this be used, now or as of a moment, and what makes it so."""
    asked_at = moment(at)
    found = call.ask(
        lambda desk: may_be_used(desk, content, account, asked_at),
        lambda far: far.get("/may-use", content=content, account=account, at=asked_at),
    )
    return told(found, may_in_words)


@command(consent_app)
def receipt(call: Call, case: str) -> Told:
    """The receipt of a consent, to hand to the patron: what it is for, and how to take it back."""
    found = call.ask(lambda desk: receipt_of(desk, case), lambda far: far.get(under("consents", case, "receipt")))
    return told(found, receipt_in_words)


@command(consent_app, "list")
def list_(call: Call, standing: Standing = None) -> Told:
    """The consent register."""
    found = call.ask(
        lambda desk: desk.in_a_thread(lambda: desk.views.consents(standing)),
        lambda far: far.get("/consents", standing=standing),
    )
    return told(found, consents)


@command(consent_app, "uses")
def uses_(call: Call, content: Content = None) -> Told:
    """The register of uses."""
    found = call.ask(
        lambda desk: desk.in_a_thread(lambda: desk.views.uses(content)),
        lambda far: far.get("/uses", content=content),
    )
    return told(found, uses)


@command(consent_app)
def find(call: Call, said: Said = "-", person: As = "", purpose: WhatFor = Purpose.IDENTITY_CHECK) -> Told:
    """Whoever fits what a patron can say: a JSON object of name, email, telephone, handle, from a file or `-`. Who
    looked, by what and for what is on record."""
    values, caller = fields_of(said, "SAID.json"), call.caller(person)
    answer = call.ask(
        lambda desk: find_patrons(desk, values, caller, purpose),
        lambda far: far.post(f"/patrons/find?purpose={purpose.value}", values),
    )
    return told(answer, found)


@command(picture_app)
def add(call: Call, case: str, file: Path, person: As = "") -> Told:
    """Add the picture itself to its case, freed of place and camera."""
    raw, caller = read_bytes(file), call.caller(person)
    answer = call.ask(
        lambda desk: add_picture(desk, case, raw, caller), lambda far: far.send_file(under("pictures", case), raw)
    )
    return told(answer, added)


@command(picture_app, "take-out")
def take_out(call: Call, case: str, out: Out, person: Reader = "", purpose: WhatFor = Purpose.CASE_WORK) -> Told:
    """Write the case's picture to OUT, freed of place and camera; who opened it and for what is on record."""
    not_there_yet(out)
    opened = call.ask(
        lambda desk: picture_of(desk, case, reader(call, person), purpose),
        lambda far: far.file(under("pictures", case), purpose=purpose.value),
    )
    return taken_out(opened, out)


@command(app)
def revocations(call: Call, only_open: OnlyOpen = False) -> Told:
    """How far each revocation is."""
    found = call.ask(
        lambda desk: desk.in_a_thread(lambda: desk.views.revocations(only_open)),
        lambda far: far.get("/revocations", open=only_open),
    )
    return told(found, how_far)


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
    had = "; where it was taken was left out" if told["taken"]["had_location"] else ""
    return f"The picture is added ({told['taken']['width']} by {told['taken']['height']}{had})"


def day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}" if isinstance(moment, datetime) else (str(moment)[:10] if moment else "-")
