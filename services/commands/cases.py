"""`imprimatur request`, `act`, `sign`, `case …`, `inbox`: cases, at the command line."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

import typer

from domain.facts import Channel
from services import show
from services.commands.call import (
    DONE,
    METHOD,
    As,
    At,
    Call,
    Concerns,
    Id,
    InForceAt,
    Told,
    command,
    fields_of,
    told,
)
from services.moments import moment

app = typer.Typer()
case_app = typer.Typer(no_args_is_help=True, help="Cases.")

FieldsFile = Annotated[str | None, typer.Argument(metavar="[FIELDS.json]", help="a file, or - for standard input")]


@command(app)
def request(
    call: Call, process: str, fields: FieldsFile, person: As = "", id_: Id = None, concerns: Concerns = None
) -> Told:
    """Start a case; prints its id."""
    given, caller = fields_of(fields), call.caller(person)
    answer = call.ask(lambda desk: followed(desk, desk.request(process, given, caller, id_, concerns or ())))
    return told(answer, show.requested)


@command(app)
def act(
    call: Call,
    case: str,
    command: str,
    fields: FieldsFile = None,
    person: As = "",
    id_: Id = None,
    concerns: Concerns = None,
) -> Told:
    """A decision or step, as a workflow update: answers when it is recorded or refused."""
    given, caller = fields_of(fields), call.caller(person)
    answer = call.ask(lambda desk: followed(desk, desk.act(case, command, given, caller, id_, concerns or ())))
    return told(answer, show.recorded)


async def followed(desk: Any, acting: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The answer, once whoever looks next will see what was done."""
    answer = await acting
    if answer.get("recorded"):
        await desk.seen(answer["log_position"])
    return answer


@command(app, always_json=True)
def sign(
    call: Call,
    case: str,
    command: str,
    fields: FieldsFile = None,
    person: As = "",
    id_: Id = None,
    concerns: Concerns = None,
) -> Told:
    """Print the signed payload that a plain Temporal signal or update must carry."""
    given, caller = fields_of(fields), call.caller(person, Channel.SIGNAL)
    payload = call.ask(lambda desk: desk.sign(case, command, given, caller, id_, concerns or ()))
    return Told(DONE, payload, "")


@command(app, here="it signs with the door's key, which lies in DATA; a token is asked of whoever runs the system")
def token(call: Call, person: As) -> Told:
    """Print a bearer token for the HTTP API."""

    async def question(desk: Any) -> str:
        await desk.staff(person)
        return str(desk.token(person, METHOD))

    made = call.ask(question)
    return Told(DONE, {"token": made}, made)


@command(app)
def inbox(call: Call, person: As = "") -> Told:
    """What waits for this person, by due time."""
    whose = call.person(person)
    return told(call.ask(lambda desk: desk.inbox(whose)), show.inbox)


@command(app, here="it lists what this program knows, and no system is asked")
def commands(call: Call, process: str = "account_creation") -> Told:
    """The commands of a process, with their fields."""
    from services.forms import commands_of, fields_shown

    found = {kind.partition(".")[2]: fields_shown(kind) for kind in commands_of(process)}
    return Told(DONE, found, show.commands(process, found))


@command(case_app, "list")
def list_(call: Call) -> Told:
    """All cases."""
    return told(call.ask(lambda desk: desk.cases()), show.cases)


@command(case_app, "show")
def show_(call: Call, case: str, at: At = None, in_force_at: InForceAt = None) -> Told:
    """One case: stage, facts, who is waited for, until when; each field with the event that set it."""
    moments = moment(at), moment(in_force_at, "--in-force-at")
    return told(call.ask(lambda desk: desk.case(case, None, *moments)), show.case)
