"""`imprimatur hr …`: HR's systems at the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from services import show
from services.commands.call import Call, Told, command, told
from services.hr import office
from services.ledger import Ledger

app = typer.Typer(no_args_is_help=True, help="HR's systems: who may write, what had to wait, whose word counts.")
BY_THE_OPERATOR = "which of HR's systems may write is in the hands of whoever runs this one"

Name = Annotated[str, typer.Argument(help="the system's name: small letters, digits, dashes")]
People = Annotated[list[str] | None, typer.Argument(help="person ids")]
AllOf = Annotated[str | None, typer.Option("--all-of", help="everyone this feed is the source of, such as staff-file")]


def of_the_ledger(call: Call, question: Callable[[Ledger], Any]) -> Any:
    return call.ask(lambda desk: desk.of_the_ledger(question))


@command(app, here=BY_THE_OPERATOR)
def register(call: Call, name: Name) -> Told:
    """Let an HR system write by SCIM; prints its token, once."""
    return told(of_the_ledger(call, lambda ledger: office.register(ledger, name)), registered)


@command(app, here=BY_THE_OPERATOR)
def revoke(call: Call, name: Name) -> Told:
    """Its token opens nothing any more, from the next request on."""
    found = of_the_ledger(call, lambda ledger: office.revoke(ledger, name))
    return told(found, lambda _: f"The token of {name} is revoked")


@command(app, here=BY_THE_OPERATOR)
def assign(call: Call, name: Name, people: People = None, all_of: AllOf = None) -> Told:
    """Make a system the source of record of people whom another fed."""
    named = tuple(people or ())
    return told(of_the_ledger(call, lambda ledger: office.assign(ledger, name, named, all_of)), show.recorded)


@command(app, "list", here=BY_THE_OPERATOR)
def list_(call: Call) -> Told:
    """Every feed, with its people and what waits."""
    return told(of_the_ledger(call, office.systems), systems)


@command(app, here=BY_THE_OPERATOR)
def quarantine(call: Call) -> Told:
    """What could not be applied, why, and what would pass; and whom the policy gives nothing."""
    return told(of_the_ledger(call, office.waiting), waiting)


def registered(told: dict[str, Any]) -> str:
    return f"{told['token']}\nGive it to {told['system']} now: it is shown once and kept only as a hash"


def systems(told: list[dict[str, Any]]) -> str:
    numbers = ("people", "users", "waiting")
    rows: list[tuple[str, ...]] = [
        (each["system"], "token" if each["token"] else "-", *(str(each[name]) for name in numbers)) for each in told
    ]
    return show.table(rows, ("feed", "writes by", "people", "users", "waiting"))


def waiting(told: dict[str, Any]) -> str:
    lines = [
        f"{each['system']}, {each['item']}: {each['problem']}\n  What would pass: {each['would_pass']}"
        for each in told["quarantine"]
    ]
    lines += [
        f"{each['person']}: {each['field']} {each['said'] or '(none)'} is not in the policy and gives no authority\n"
        f"  What would pass: {each['would_pass']}"
        for each in told["remedies"]
    ]
    return "\n".join(lines) or "Nothing waits"

