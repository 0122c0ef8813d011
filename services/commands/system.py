"""`imprimatur up`, `status`, `down`, `demo`: the running system; and the parts that a server runs by themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services import show
from services.commands.call import AWAY, DONE, Call, Told, command, finish, outcome, read_bytes
from services.settings import Settings

app = typer.Typer()
ON_THIS_MACHINE = "it starts and stops processes of the machine that it is called on"

Port = Annotated[int | None, typer.Option(help="of the web address; 8080, or the next free one")]
PolicyFile = Annotated[Path | None, typer.Option(help="policy file for the first start")]
StaffFile = Annotated[Path | None, typer.Option(help="staff feed for the first start")]


@command(app, here=ON_THIS_MACHINE)
def up(call: Call, port: Port = None, policy: PolicyFile = None, staff: StaffFile = None) -> Told:
    """Start everything on the embedded default, in the foreground; Ctrl-C stops it."""
    from services.embedded import run_up

    given = {"data": call.data.absolute()} | ({"port": port} if port is not None else {})
    for file in filter(None, (policy, staff)):
        read_bytes(file)  # before anything is started for it
    settings = Settings.load(**given)
    code = run_up(
        settings, port_explicit=port is not None, policy_file=policy, staff_file=staff, announce=call.say
    )
    return Told(code, {"stopped": code == DONE}, "")


@command(app)
def status(call: Call) -> Told:
    """Each part, its address, health and log position."""
    if call.url:
        standing = call.ask(lambda desk: desk.standing())
        answers = [{"name": "api", "health": "up", "pid": None, "address": call.url}]
        return Told(DONE, {"parts": answers, **standing}, show.status(answers, standing, call.data))
    return status_here(call)


def status_here(call: Call) -> Told:
    from services.embedded import status as parts_of

    parts: list[dict[str, Any]] = [part.__dict__.copy() for part in parts_of(call.data)]
    well = bool(parts) and all(part["health"] == "up" for part in parts)
    standing = call.ask(lambda desk: desk.standing()) if well else {}
    value = {"parts": parts, **standing, "settings": call.settings.shown()}
    return Told(DONE if well else AWAY, value, show.status(parts, standing, call.data))


@command(app, here=ON_THIS_MACHINE)
def down(call: Call) -> Told:
    """Stop the running system."""
    from services.embedded import down as stop

    return Told(stop(call.data, call.say), {"stopped": True}, "")


@command(app, here="it runs servers of its own, in a temporary folder")
def demo(call: Call) -> Told:
    """A whole account creation on real servers in a temporary folder, told step by step."""
    from services.demo import run_demo

    with redirect_stdout(sys.stderr if call.as_json else sys.stdout):
        code = run_demo()
    return Told(code, {"done": code == DONE}, "")


# the parts, by settings from the environment


@app.command(hidden=True)
def serve(name: str) -> None:
    """One part of the system as a process of its own: worker, projector or api."""
    from services.parts import serve_part, settings_of_this_part

    done(lambda: serve_part(name, settings_of_this_part()))


@app.command(hidden=True)
def migrate() -> None:
    """Make or bring up to date roles, schemas and grants, where the database is not the embedded one."""
    from services.parts import migrate_by_settings

    done(lambda: migrate_by_settings(Settings.load()))


@app.command("first-start", hidden=True)
def first_start() -> None:
    """Found the system from IMPRIMATUR_POLICY_FILE and IMPRIMATUR_STAFF_FILE, if it is not."""
    from services.bootstrap import first_start as found

    def do() -> None:
        settings = Settings.load()
        found(settings, settings.policy_file, settings.staff_file)

    done(do)


def done(do: Callable[[], object]) -> NoReturn:
    """No command of people's: nothing is asked of a desk and nothing is told."""

    def carried_out() -> Told:
        do()
        return Told(DONE, {}, "")

    finish(outcome(carried_out), as_json=False)
