"""`imprimatur policy …`: the policy in force, and files that may become it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from domain.policy import parse_policy, policy_hash
from services import show
from services.commands.call import DONE, As, Call, Id, Told, command, read_text, told

app = typer.Typer(no_args_is_help=True, help="The policy in force, and checking a policy file.")


@command(app, "show")
def show_(call: Call) -> Told:
    """The policy in force."""

    async def question(desk: Any) -> Any:
        return (await desk.policy()).model_dump(mode="json")

    return told(call.ask(question, lambda far: far.get("/policy")), show.policy)


@command(app, here="the file is looked at where it is, and no system is asked")
def check(call: Call, file: Path) -> Told:
    """Validate a policy file, naming line and field."""
    text = read_text(file)
    policy = parse_policy(text, str(file))
    value = {"version": policy.version, "effective": str(policy.effective), "sha256": policy_hash(text)}
    return Told(DONE, value, f"{file}: version {policy.version}, in force from {policy.effective}: in order")


@command(app)
def adopt(call: Call, file: Path, person: As = "", id_: Id = None) -> Told:
    """Adopt a new version, as the Executive Director."""
    text = read_text(file)
    parse_policy(text, str(file))
    caller = call.caller(person)
    answer = call.ask(lambda desk: desk.act("policy_adoption", "AdoptPolicy", {"text": text}, caller, id_))
    return told(answer, show.recorded)
