"""`imprimatur audit trail`, `as-of`, `diff`, `replay`, `export`: the record at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.facts import Channel, Malformed
from services import show
from services.audit import records
from services.audit.carrying import carried_over
from services.audit.replay import disagreements, in_words
from services.audit.selection import Selection
from services.commands.call import Call, InForceAt, Told, command, told
from services.moments import moment

app = typer.Typer()

OfCase = Annotated[str | None, typer.Option("--case")]
OfPerson = Annotated[str | None, typer.Option("--person", help="who did it, for whom, or whom it names")]
OfAccount = Annotated[str | None, typer.Option("--account", help="such as account:facebook:durantlibrary")]
OfBranch = Annotated[str | None, typer.Option("--branch", help="what it is about, or where it was done")]
OfClause = Annotated[str | None, typer.Option("--clause", help="such as PR-7")]
OfChannel = Annotated[Channel | None, typer.Option("--channel", help="by which door it came")]
OnlyRefused = Annotated[bool | None, typer.Option("--refused/--not-refused", help="refused attempts alone, or none")]
From = Annotated[str | None, typer.Option("--from", help="RFC 3339 time")]
To = Annotated[str | None, typer.Option("--to", help="RFC 3339 time, itself not in it")]
Auditor = Annotated[str | None, typer.Option("--as", help="the auditor who takes it; else whoever runs the system")]
T = Annotated[str, typer.Argument(metavar="T", help="RFC 3339 time: what was on record by then")]
T1 = Annotated[str, typer.Argument(metavar="T1")]
T2 = Annotated[str, typer.Argument(metavar="T2")]
Target = Annotated[Path, typer.Argument(metavar="OUT", help="a path that is not there yet")]
Formats = Annotated[str, typer.Option("--format", help=f"of {','.join(records.FORMATS)}")]


@command(app)
def trail(
    call: Call,
    case: OfCase = None,
    person: OfPerson = None,
    account: OfAccount = None,
    branch: OfBranch = None,
    clause: OfClause = None,
    channel: OfChannel = None,
    refused: OnlyRefused = None,
    since: From = None,
    until: To = None,
) -> Told:
    """Events with every field of the envelope, by whatever they have to do with."""
    asked = selection(case, person, account, branch, clause, channel, refused, since, until)
    return told(call.ask(lambda desk: desk.trail(**asked.wanted())), show.trail)


@command(app, here="it rebuilds every projection in the database and runs all of the code again beside it")
def replay(call: Call) -> Told:
    """Four witnesses: projections rebuilt, histories run again, decisions judged anew, steps compared."""
    found = call.ask(lambda desk: desk.replay())
    return told(found, in_words, wrong=any(disagreements(found)))


@command(app, "as-of")
def as_of(call: Call, at: T, in_force_at: InForceAt = None) -> Told:
    """The registers as they were on record, and what was in force."""
    moments = when(at, "T"), moment(in_force_at, "--in-force-at")
    found = call.ask(
        records.in_thread(records.registers, *moments),
        lambda far: far.get("/audit/as-of", at=moments[0], in_force_at=moments[1]),
    )
    return told(found, registers_in_words)


@command(app)
def diff(call: Call, first: T1, second: T2) -> Told:
    """What changed between two moments, each with the event that changed it."""
    moments = when(first, "T1"), when(second, "T2")
    found = call.ask(
        records.in_thread(records.changes, *moments),
        lambda far: far.get("/audit/diff", first=moments[0], second=moments[1]),
    )
    return told(found, changes_in_words)


@command(app)
def export(
    call: Call,
    out: Target,
    case: OfCase = None,
    person: OfPerson = None,
    account: OfAccount = None,
    branch: OfBranch = None,
    clause: OfClause = None,
    channel: OfChannel = None,
    refused: OnlyRefused = None,
    since: From = None,
    until: To = None,
    formats: Formats = records.PACKAGE,
    by: Auditor = None,
) -> Told:
    """What an auditor takes away; that it was taken is on record."""
    asked = selection(case, person, account, branch, clause, channel, refused, since, until)
    wanted = tuple(dict.fromkeys(each.strip() for each in formats.split(",") if each.strip())) or (records.PACKAGE,)
    found = call.ask(
        records.in_thread(records.export, out, asked, wanted, records.sender_of(by)),
        lambda far: carried_over(far, out, asked, wanted),
    )
    return told(found, export_in_words)


def selection(
    case: str | None,
    person: str | None,
    account: str | None,
    branch: str | None,
    clause: str | None,
    channel: Channel | None,
    refused: bool | None,
    since: str | None,
    until: str | None,
) -> Selection:
    by = channel.value if channel else None
    period = moment(since, "--from"), moment(until, "--to")
    return Selection(case, person, account, branch, clause, by, refused, *period)


def when(given: str, name: str) -> Any:
    found = moment(given, name)
    if found is None:
        raise Malformed(name, "no time is given", "RFC 3339, such as 2026-03-02T09:00:00-06:00")
    return found


def registers_in_words(found: dict[str, Any]) -> str:
    lines = [f"On record at {found['at']} (log position {found['log_position']}):"]
    for register, rows in found["registers"].items():
        lines.append(f"{register}: {len(rows)}")
        lines.extend(f"  {key}: {in_short(each['row'])}" for key, each in rows.items())
    then = found["in_force"]
    lines.append(f"In force at {found['in_force_at']}, policy version {then['policy'] or 'none'}:")
    numbers = (f"{len(then[each])} {each}" for each in ("people", "rights", "accounts", "delegations"))
    lines.append("  " + ", ".join(numbers))
    lines.extend(
        f"  {account}: in breach of PR-7: {health['because']}"
        for account, health in then["accounts"].items()
        if not health["in_order"]
    )
    return "\n".join(lines)


def in_short(row: dict[str, Any]) -> str:
    shown = ("stage", "standing", "to_do", "account", "holder", "accounts", "place", "branch", "position", "effective")
    return ", ".join(f"{name} {show.brief(row[name])}" for name in shown if row.get(name) not in (None, "", []))


def changes_in_words(found: dict[str, Any]) -> str:
    if not found["changes"]:
        return "Nothing changed"
    return "\n".join(map(change_in_words, found["changes"]))


def change_in_words(change: dict[str, Any]) -> str:
    by = change["by"]
    cause = f"  by {by['kind']} of {by['by']}, log position {by['log_position']}" if by else ""
    if change["what"] != "changed":
        return f"{change['register']} {change['key']} {change['what']}{cause}"
    was, is_ = (json.dumps(change[each], ensure_ascii=False, default=str)[:80] for each in ("from", "to"))
    return f"{change['register']} {change['key']}: {change['field']} was {was}, is {is_}{cause}"


def export_in_words(told: dict[str, Any]) -> str:
    return f"{told['events']} events\nWritten to {told['out']}"
