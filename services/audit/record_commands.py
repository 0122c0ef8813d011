"""`imprimatur audit trail`, `as-of`, `diff`, `replay`, `export`, `story`: the record at the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from domain.facts import Channel, Malformed
from services import show
from services.audit import records
from services.audit.replay import disagreements, in_words
from services.audit.selection import Selection
from services.moments import moment

Json = Annotated[bool, typer.Option("--json", help="one JSON value on standard output, nothing else there")]
Data = Annotated[Path, typer.Option("--data", envvar="IMPRIMATUR_DATA", help="folder of the embedded system")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="IMPRIMATUR_URL", help="a system elsewhere, by its web address")
]
Token = Annotated[str | None, typer.Option("--token", envvar="IMPRIMATUR_TOKEN", help="bearer token for --url")]
OfCase = Annotated[str | None, typer.Option("--case")]
OfPerson = Annotated[str | None, typer.Option("--person", help="who did it, for whom, or whom it names")]
OfAccount = Annotated[str | None, typer.Option("--account", help="such as account:facebook:durantlibrary")]
OfBranch = Annotated[str | None, typer.Option("--branch", help="what it is about, or where it was done")]
OfClause = Annotated[str | None, typer.Option("--clause", help="such as PR-7")]
OfChannel = Annotated[Channel | None, typer.Option("--channel", help="by which door it came")]
OnlyRefused = Annotated[bool | None, typer.Option("--refused/--not-refused", help="refused attempts alone, or none")]
From = Annotated[str | None, typer.Option("--from", help="RFC 3339 time")]
To = Annotated[str | None, typer.Option("--to", help="RFC 3339 time, itself not in it")]
As = Annotated[str | None, typer.Option("--as", help="the auditor who takes it; else whoever runs the installation")]
InForceAt = Annotated[
    str | None, typer.Option("--in-force-at", help="what was in force then, by what was on record at T")
]
DEFAULT_DATA = Path("var")

# as_json, data, url, token · what is asked of the desk · what people are told · whether the answer is a bad one
Asking = Callable[
    [bool, Path, str | None, str | None, Callable[[Any], Any], Callable[[Any], str], Callable[[Any], bool]], NoReturn
]


def add_record_commands(app: typer.Typer, ask: Asking) -> None:
    @app.command("trail")
    def trail(
        case: OfCase = None,
        person: OfPerson = None,
        account: OfAccount = None,
        branch: OfBranch = None,
        clause: OfClause = None,
        channel: OfChannel = None,
        refused: OnlyRefused = None,
        since: From = None,
        until: To = None,
        data: Data = DEFAULT_DATA,
        url: Url = None,
        token: Token = None,
        as_json: Json = False,
    ) -> None:
        """Events with every field of the envelope, by whatever they have to do with."""

        def question(desk: Any) -> Any:
            asked = selection(case, person, account, branch, clause, channel, refused, since, until)
            return desk.trail(**asked.wanted())

        ask(as_json, data, url, token, question, show.trail, never)

    @app.command("replay")
    def replay(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Four witnesses: projections rebuilt, histories run again, decisions judged anew, steps compared."""
        ask(as_json, data, None, None, lambda desk: desk.replay(), in_words, lambda found: any(disagreements(found)))

    @app.command("as-of")
    def as_of(
        at: Annotated[str, typer.Argument(metavar="T", help="RFC 3339 time: what was on record by then")],
        in_force_at: InForceAt = None,
        data: Data = DEFAULT_DATA,
        as_json: Json = False,
    ) -> None:
        """The registers as they were on record, and what was in force."""

        def question(desk: Any) -> Any:
            moments = when(at, "T"), moment(in_force_at, "--in-force-at")
            return records.in_thread(records.registers, *moments)(desk)

        ask(as_json, data, None, None, question, registers_in_words, never)

    @app.command("diff")
    def diff(
        first: Annotated[str, typer.Argument(metavar="T1")],
        second: Annotated[str, typer.Argument(metavar="T2")],
        data: Data = DEFAULT_DATA,
        as_json: Json = False,
    ) -> None:
        """What changed between two moments, each with the event that changed it."""

        def question(desk: Any) -> Any:
            return records.in_thread(records.changes, when(first, "T1"), when(second, "T2"))(desk)

        ask(as_json, data, None, None, question, changes_in_words, never)

    @app.command("export")
    def export(
        out: Annotated[Path, typer.Argument(metavar="OUT", help="a path that is not there yet")],
        case: OfCase = None,
        person: OfPerson = None,
        account: OfAccount = None,
        branch: OfBranch = None,
        clause: OfClause = None,
        channel: OfChannel = None,
        refused: OnlyRefused = None,
        since: From = None,
        until: To = None,
        formats: Annotated[str, typer.Option("--format", help=f"of {','.join(records.FORMATS)}")] = records.PACKAGE,
        by: As = None,
        data: Data = DEFAULT_DATA,
        as_json: Json = False,
    ) -> None:
        """What an auditor takes away; that it was taken is on record."""

        def question(desk: Any) -> Any:
            asked = selection(case, person, account, branch, clause, channel, refused, since, until)
            wanted = tuple(dict.fromkeys(each.strip() for each in formats.split(",") if each.strip()))
            return records.in_thread(records.export, out, asked, wanted or (records.PACKAGE,), by)(desk)

        ask(as_json, data, None, None, question, export_in_words, never)


def never(_: Any) -> bool:
    return False


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
