"""`imprimatur accounts`, `rights`, `remedies`, `notices`, `explain …`: what stands, and why."""

from __future__ import annotations

import typer

from services import show
from services.commands.call import At, Call, Told, command, told
from services.moments import moment

app = typer.Typer()
explain_app = typer.Typer(no_args_is_help=True, help="Why something is so.")


@command(app)
def accounts(call: Call) -> Told:
    """The account register, with the health of PR-7."""
    return told(call.ask(lambda desk: desk.accounts()), show.accounts)


@command(app)
def rights(call: Call) -> Told:
    """The rights roster: who may post by a right, to which accounts, until when."""
    return told(call.ask(lambda desk: desk.rights(), lambda far: far.get("/rights")), show.rights)


@command(app)
def remedies(call: Call) -> Told:
    """Accounts that have to be mended (PR-7), by when."""
    return told(call.ask(lambda desk: desk.remedies(), lambda far: far.get("/remedies")), show.remedies)


@command(app)
def notices(call: Call) -> Told:
    """Outgoing mail: to whom, about what, and whether it was handed over."""
    return told(call.ask(lambda desk: desk.notices(), lambda far: far.get("/notices")), show.notices)


@command(explain_app)
def posting(call: Call, person: str, account: str, at: At = None) -> Told:
    """May they post to the account, now or at a past moment, and which events and clauses make it so."""
    asked_at = moment(at)
    return told(call.ask(lambda desk: desk.explain_posting(person, account, asked_at)), show.explained)
