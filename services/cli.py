"""The command line: every command takes --json, --data or --url; exit codes say how it went.

0 done · 1 a check found something wrong · 2 the call or its input is malformed · 3 refused by policy · 4 a needed
service cannot be reached.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click
import typer
from pydantic import ValidationError

from services import patron_commands, privacy_commands
from services.audit import proof_commands, record_commands
from services.commands import cases, evidence, policy, registers, staff, system
from services.commands.call import MALFORMED
from services.hr import commands as hr_commands
from services.hr import webhook_commands

app = typer.Typer(
    name="imprimatur", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
audit_app = typer.Typer(no_args_is_help=True, help="The audit trail and its checks.")
for of_the_line in (system.app, cases.app, registers.app, patron_commands.app, privacy_commands.app):
    app.add_typer(of_the_line)
for of_auditors in (record_commands.app, proof_commands.app):
    audit_app.add_typer(of_auditors)
for name, group in (
    ("policy", policy.app),
    ("staff", staff.app),
    ("case", cases.case_app),
    ("audit", audit_app),
    ("evidence", evidence.app),
    ("explain", registers.explain_app),
    ("hr", hr_commands.app),
    ("webhooks", webhook_commands.app),
    ("keys", privacy_commands.key_app),
    ("consent", patron_commands.consent_app),
    ("picture", patron_commands.picture_app),
):
    app.add_typer(group, name=name)


def main() -> None:
    """The entry point: whatever typer finds wrong with a call is exit code 2, as everything malformed is."""
    try:
        app()
    except ValidationError as error:
        click.echo(f"malformed: {error.errors(include_input=False)[0]['msg']}", err=True)
        leave(MALFORMED)
    except SystemExit as ended:
        leave(ended.code if isinstance(ended.code, int) else MALFORMED)


def leave(code: int) -> NoReturn:
    """At once: threads of Temporal's client that are still about can abort an interpreter that takes its time, and the
    exit code must be the truth."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
