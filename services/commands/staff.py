"""`imprimatur staff …`: the directory, its feed, and what belongs to whom."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.facts import Malformed
from services import show
from services.commands.call import DONE, MALFORMED, REFUSED, WRONG, Call, Told, command, read_bytes, told
from services.hr.office import Terms
from services.moments import moment
from services.remote import under

app = typer.Typer(no_args_is_help=True, help="The staff directory and its feed.")

DryRun = Annotated[bool, typer.Option("--dry-run", help="show the difference and record nothing")]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="apply the rest; broken rows wait in the quarantine")]
AcceptLeavers = Annotated[bool, typer.Option("--accept-leavers", help="however many are missing, they left")]
System = Annotated[str, typer.Option("--system", help="the feed whose people these are")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="when the file was made: an older one is refused")]
LastDay = Annotated[str, typer.Option("--leaving", help="their last day, such as 2026-03-31")]


@command(app, "import", here="HR's systems send theirs over HTTP, with tokens of their own; a file is the operator's")
def import_(
    call: Call,
    file: Path,
    dry_run: DryRun = False,
    skip_broken: SkipBroken = False,
    accept_leavers: AcceptLeavers = False,
    system: System = "staff-file",
    as_of: AsOf = None,
) -> Told:
    """Feed the staff directory from a CSV that an HR system exports."""
    raw = read_bytes(file)
    terms = Terms(system, dry_run, skip_broken, accept_leavers, moment(as_of, "--as-of"))
    found = call.ask(lambda desk: desk.import_staff(raw, terms))
    code = (WRONG if dry_run else MALFORMED) if found["problems"] and not skip_broken else DONE
    return Told(REFUSED if found.get("refused") else code, found, show.staff_import(found, str(file)))


@command(app, "list")
def list_(call: Call) -> Told:
    """Everyone in the directory."""
    return told(call.ask(lambda desk: desk.staff()), show.people)


@command(app, "show")
def show_(call: Call, person: str) -> Told:
    """A person with roles and open work."""

    async def with_work(desk: Any) -> dict[str, Any]:
        (found,) = await desk.staff(person)
        return {**found, "open_work": await desk.inbox(person)}

    async def far(desk: Any) -> dict[str, Any]:
        (found,) = await desk.staff(person)
        return dict(found)

    return told(call.ask(with_work, far), show.person)


@command(app)
def preview(call: Call, person: str, leaving: LastDay) -> Told:
    """What would follow if a person left. Nothing is recorded."""
    last = day(leaving)
    found = call.ask(
        lambda desk: desk.preview_leaving(person, last),
        lambda far: far.get(under("staff", person, "leaving"), last_day=last),
    )
    return told(found, show.preview)


@command(app)
def orphans(call: Call) -> Told:
    """Prove that nothing open, delegated, granted or seated belongs to someone who is gone."""
    found = call.ask(lambda desk: desk.orphans(), lambda far: far.get("/staff/orphans"))
    return told(found, show.orphans, wrong=bool(found))


def day(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise Malformed("--leaving", f"{given} is no day", "a date such as 2026-03-31") from None
