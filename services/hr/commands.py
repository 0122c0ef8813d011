"""`imprimatur hr …`: HR's systems at the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services import show
from services.hr import office

Json = Annotated[bool, typer.Option("--json", help="one JSON value on standard output, nothing else there")]
Data = Annotated[Path, typer.Option("--data", envvar="IMPRIMATUR_DATA", help="folder of the embedded system")]
Name = Annotated[str, typer.Argument(help="the system's name: small letters, digits, dashes")]
People = Annotated[list[str] | None, typer.Argument(help="person ids")]
AllOf = Annotated[str | None, typer.Option("--all-of", help="everyone this feed is the source of, such as staff-file")]
DEFAULT_DATA = Path("var")

Asking = Callable[[bool, Path, Callable[..., dict[str, Any] | list[dict[str, Any]]], Callable[[Any], str]], NoReturn]


def hr_commands(ask: Asking) -> typer.Typer:
    """`ask` puts a question to the ledger and tells the answer, as every command of the line does."""
    app = typer.Typer(no_args_is_help=True, help="HR's systems: who may write, what had to wait, whose word counts.")

    @app.command()
    def register(name: Name, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Let an HR system write by SCIM; prints its token, once."""
        ask(as_json, data, lambda ledger: office.register(ledger, name), registered)

    @app.command()
    def revoke(name: Name, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Its token opens nothing any more, from the next request on."""
        ask(as_json, data, lambda ledger: office.revoke(ledger, name), lambda told: f"The token of {name} is revoked")

    @app.command()
    def assign(
        name: Name, people: People = None, all_of: AllOf = None, data: Data = DEFAULT_DATA, as_json: Json = False
    ) -> None:
        """Make a system the source of record of people whom another fed."""
        named = tuple(people or ())
        ask(as_json, data, lambda ledger: office.assign(ledger, name, named, all_of), show.recorded)

    @app.command("list")
    def list_(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """Every feed, with its people and what waits."""
        ask(as_json, data, office.systems, systems)

    @app.command()
    def quarantine(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
        """What could not be applied, why, and what would pass; and whom the policy gives nothing."""
        ask(as_json, data, office.waiting, waiting)

    return app


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

