"""`imprimatur evidence …`: files kept beside the log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.facts import Malformed
from domain.openings import Purpose
from services.commands.call import DONE, Call, Concerns, OfCase, Out, Told, command, read_bytes, told
from services.desk import Caller
from services.evidence_desk import OpenedFile, open_evidence
from services.remote import Received, under

app = typer.Typer(no_args_is_help=True, help="Files kept beside the log.")

MediaType = Annotated[str, typer.Option("--type", help="media type")]
Hash = Annotated[str, typer.Argument(metavar="HASH", help="its sha256, as a fact of the case names it")]
Reader = Annotated[str, typer.Option("--as", help="who reads it; else whoever runs the system, or the token's person")]
WhatFor = Annotated[Purpose, typer.Option("--purpose", help="what for: it is on record")]
OWNERS_ALONE = 0o600


@command(app, always_json=True)
def add(
    call: Call,
    file: Path,
    case: OfCase,
    media_type: MediaType = "application/octet-stream",
    concerns: Concerns = None,
) -> Told:
    """Keep a file beside the log; prints what a command's `evidence` names."""
    content = read_bytes(file)
    return Told(DONE, call.ask(lambda desk: desk.keep(content, media_type, case, concerns or ())), "")


@command(app, "show")
def show_(
    call: Call, sha256: Hash, case: OfCase, out: Out, person: Reader = "", purpose: WhatFor = Purpose.CASE_WORK
) -> Told:
    """Open a file and write it to OUT; who opened it and for what is on record. A picture leaves drawn anew."""
    not_there_yet(out)
    found = call.ask(
        lambda desk: open_evidence(desk, case, sha256, reader(call, person), purpose),
        lambda far: far.file(under("cases", case, "evidence", sha256), purpose=purpose.value),
    )
    return taken_out(found, out)


def reader(call: Call, person: str) -> Caller | None:
    """None is whoever runs the installation, who holds the keys anyway."""
    return call.caller(person) if person else None


def not_there_yet(out: Path) -> None:
    """Before anything is opened for it."""
    if out.exists():
        raise Malformed("--out", f"{out} is there already", "a path that is not there yet")
    if not out.absolute().parent.is_dir():
        raise Malformed("--out", f"there is no folder {out.absolute().parent}", "a path in a folder that is there")


def taken_out(found: OpenedFile | Received, out: Path) -> Told:
    """What was opened, in a file that its owner alone reads."""
    opened = found if isinstance(found, OpenedFile) else as_received(found)
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNERS_ALONE), "wb") as file:
        file.write(opened.content)
    said = {"evidence": opened.sha256, "media_type": opened.media_type, "size": len(opened.content)}
    return told(said | {"drawn_anew": opened.drawn_anew, "out": str(out)}, in_words)


def as_received(found: Received) -> OpenedFile:
    said = found.headers
    media_type = said.get("content-type", "").partition(";")[0]
    anew = said.get("imprimatur-drawn-anew") == "true"
    return OpenedFile(said.get("imprimatur-evidence", ""), media_type, found.content, anew)


def in_words(opened: dict[str, Any]) -> str:
    anew = "; drawn anew, so its bytes are not those that were kept" if opened["drawn_anew"] else ""
    return f"{opened['out']}: {opened['media_type']}, {opened['size']} bytes{anew}"
