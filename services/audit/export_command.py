"""`imprimatur audit export`: what an auditor takes away, in one format or several."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.facts import Malformed
from services.audit.package import Asked, NotAsSigned, write_package
from services.audit.proof_commands import DEFAULT_DATA, Data, Json, Telling
from services.settings import Settings, SettingsError

Writer = Callable[[Settings, Asked, Path], dict[str, Any]]
Moment = Callable[[str | None, str], datetime | None]


def packed(settings: Settings, asked: Asked, out: Path) -> dict[str, Any]:
    try:
        return write_package(settings, asked, out)
    except NotAsSigned as wrong:
        raise SettingsError(str(wrong)) from None


# by the name that --format takes; each writes to the path that it is given, which is not there yet
FORMATS: dict[str, Writer] = {"package": packed}


def add_export_command(app: typer.Typer, tell: Telling, moment: Moment) -> None:
    @app.command("export")
    def export(
        out: Annotated[Path, typer.Argument(metavar="OUT", help="a folder that is not there yet, or FILE.tar")],
        case: Annotated[str, typer.Option(help="one case")] = "",
        person: Annotated[str, typer.Option(help="what concerns one person")] = "",
        account: Annotated[str, typer.Option(help="what concerns one account")] = "",
        since: Annotated[str | None, typer.Option("--from", help="what was recorded from this time on")] = None,
        until: Annotated[str | None, typer.Option("--to", help="what was recorded before this time")] = None,
        formats: Annotated[str, typer.Option("--format", help=f"of {', '.join(FORMATS)}")] = "package",
        data: Data = DEFAULT_DATA,
        as_json: Json = False,
    ) -> None:
        """Write out what an auditor takes away; of nothing named, everything."""

        def question(settings: Settings) -> dict[str, Any]:
            asked = Asked(case, person, account, moment(since, "--from"), moment(until, "--to"))
            return exported(settings, asked, out, named(formats))

        tell(as_json, data, question, in_words, lambda _: False)


def named(formats: str) -> list[str]:
    found = [each.strip() for each in formats.split(",") if each.strip()]
    if unknown := [each for each in found if each not in FORMATS]:
        raise Malformed("--format", f"there is no format {unknown[0]}", ", ".join(FORMATS))
    if not found:
        raise Malformed("--format", "no format is named", ", ".join(FORMATS))
    return list(dict.fromkeys(found))


def exported(settings: Settings, asked: Asked, out: Path, formats: list[str]) -> dict[str, Any]:
    """One format is written to OUT itself; of several, each to its own name within."""
    if len(formats) == 1:
        return {"out": str(out), formats[0]: FORMATS[formats[0]](settings, asked, out)}
    if out.exists():
        raise Malformed("OUT", f"{out} is there already", "a path that is not there yet")
    out.mkdir()
    return {"out": str(out)} | {each: FORMATS[each](settings, asked, out / each) for each in formats}


def in_words(found: dict[str, Any]) -> str:
    lines = [f"{name}: {said['events']} events" for name, said in found.items() if name != "out"]
    return "\n".join([*lines, f"Written to {found['out']}"])
