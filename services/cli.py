"""The command line: every command takes --json, --data or --url; exit codes say how it went.

0 done · 1 a check found something wrong · 2 the call or its input is malformed · 3 refused by policy · 4 a needed
service cannot be reached.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NoReturn

import click
import typer
from pydantic import ValidationError

from domain.facts import Channel, Malformed, Refused
from domain.policy import PolicyError, parse_policy, policy_hash
from services import show
from services.audit.proof_commands import add_proof_commands
from services.audit.record_commands import InForceAt, add_record_commands
from services.credentials import Unproven
from services.desk import Caller, Desk, Unreachable
from services.embedded_process import EmbeddedError
from services.founding import NotFounded
from services.hr.commands import hr_commands
from services.hr.office import Terms
from services.hr.webhook_commands import webhook_commands
from services.moments import moment
from services.patron_commands import add_revocations, consent_commands, picture_commands
from services.privacy_commands import add_holds, key_commands
from services.remote import RemoteDesk
from services.settings import NotRunning, Settings, SettingsError

DONE, WRONG, MALFORMED, REFUSED, AWAY = 0, 1, 2, 3, 4
METHOD = "access to the installation"

app = typer.Typer(
    name="imprimatur", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
policy_app = typer.Typer(no_args_is_help=True, help="The policy in force, and checking a policy file.")
staff_app = typer.Typer(no_args_is_help=True, help="The staff directory and its feed.")
case_app = typer.Typer(no_args_is_help=True, help="Cases.")
audit_app = typer.Typer(no_args_is_help=True, help="The audit trail and its checks.")
explain_app = typer.Typer(no_args_is_help=True, help="Why something is so.")
evidence_app = typer.Typer(no_args_is_help=True, help="Files kept beside the log.")
for name, sub in (
    ("policy", policy_app),
    ("staff", staff_app),
    ("case", case_app),
    ("audit", audit_app),
    ("evidence", evidence_app),
    ("explain", explain_app),
):
    app.add_typer(sub, name=name)

Json = Annotated[bool, typer.Option("--json", help="one JSON value on standard output, nothing else there")]
Data = Annotated[Path, typer.Option("--data", envvar="IMPRIMATUR_DATA", help="folder of the embedded system")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="IMPRIMATUR_URL", help="a system elsewhere, by its web address")
]
Token = Annotated[str | None, typer.Option("--token", envvar="IMPRIMATUR_TOKEN", help="bearer token for --url")]
As = Annotated[str, typer.Option("--as", help="person id from the staff directory")]
Id = Annotated[str | None, typer.Option("--id", help="command id: the same again gets the first answer")]
FieldsFile = Annotated[str | None, typer.Argument(metavar="[FIELDS.json]", help="a file, or - for standard input")]
At = Annotated[str | None, typer.Option("--at", help="RFC 3339 time, such as 2026-03-02T09:00:00-06:00")]
Concerns = Annotated[
    list[str] | None, typer.Option("--concerns", help="a patron's id: what is said is sealed under their key too")
]
DEFAULT_DATA = Path("var")


class Told(Exception):
    """The end of a command: an exit code, what to print as JSON, and what to print for people."""

    def __init__(self, code: int, value: Any, text: str) -> None:
        self.code, self.value, self.text = code, value, text


def settings_of(data: Path) -> Settings:
    return Settings.of_data(data)


class Session:
    """One call of the command line: the desk it speaks to, and how its end is told."""

    def __init__(
        self, as_json: bool, data: Path = DEFAULT_DATA, url: str | None = None, token: str | None = None
    ) -> None:
        self.as_json, self.data, self.url, self.token = as_json, data, url, token

    def ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        desk: Any = RemoteDesk(self.url, self.token or "") if self.url else Desk(settings_of(self.data))

        async def asked() -> Any:
            return await question(desk)

        try:
            return asyncio.run(asked())
        finally:
            desk.close()

    def tell(self, value: Any, text: str, code: int = DONE) -> NoReturn:
        raise Told(code, value, text)

    def tell_answer(self, answer: dict[str, Any], text: str) -> NoReturn:
        """As recorded (0), as refused by policy (3) or as malformed (2)."""
        if answer.get("refused"):
            self.tell(answer, show.refusal(answer["refused"]), REFUSED)
        if answer.get("malformed"):
            self.tell(answer, show.malformed(**answer["malformed"]), MALFORMED)
        self.tell(answer, text)


def running(as_json: bool, do: Callable[[], None]) -> NoReturn:
    """Every command ends here: no traceback for people, one line that says what, where and what would pass."""
    try:
        do()
        told = Told(DONE, {}, "")
    except Told as said:
        told = said
    except Malformed as error:
        text = show.malformed(error.field, error.message, error.would_pass)
        told = Told(
            MALFORMED,
            {"malformed": {"field": error.field, "message": error.message, "would_pass": error.would_pass}},
            text,
        )
    except PolicyError as error:
        told = Told(MALFORMED, {"problems": [each._asdict() for each in error.problems]}, str(error))
    except NotRunning as error:
        told = Told(AWAY, {"unreachable": str(error)}, str(error))
    except (Unproven, SettingsError, NotFounded) as error:
        told = Told(MALFORMED, {"malformed": {"field": "call", "message": str(error), "would_pass": ""}}, str(error))
    except Refused as error:
        refused = {"clauses": list(error.clauses), "because": error.because, "remedy": error.remedy}
        told = Told(REFUSED, {"refused": refused}, show.refusal(refused))
    except EmbeddedError as error:
        told = Told(error.exit_code, {"error": str(error)}, str(error))
    except Unreachable as error:
        told = Told(AWAY, {"unreachable": str(error)}, str(error))
    except KeyboardInterrupt:
        told = Told(
            130, {"interrupted": True}, "Interrupted: whatever was not answered is safe to repeat with the same --id"
        )
    finish(told, as_json)


def finish(told: Told, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps(told.value, ensure_ascii=False, default=str))
        if told.code not in (DONE, REFUSED) and told.text:
            click.echo(told.text, err=True)
    elif told.text:
        click.echo(told.text, err=told.code != DONE)
    raise SystemExit(told.code)


def fields_of(source: str | None) -> dict[str, Any]:
    """The fields from a file or standard input; an absent argument is a command without fields."""
    if source is None:
        return {}
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed("FIELDS.json", f"{source} cannot be read: {error}", "a JSON file in UTF-8") from None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Malformed("FIELDS.json", f"not JSON: {error}", '{"field": "value", …}') from None
    if not isinstance(value, dict):
        raise Malformed("FIELDS.json", "not a JSON object", '{"field": "value", …}')
    return value


def read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Malformed("FILE", f"{file} cannot be read: {error.strerror}", "a file that is there") from None


def read_text(file: Path) -> str:
    try:
        return read_bytes(file).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("FILE", f"{file} is not UTF-8", "a text file in UTF-8") from None


def at_the_cli(person: str) -> Caller:
    return Caller(person, METHOD, Channel.CLI)


# the running system


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    port: Annotated[int | None, typer.Option(help="of the web address; 8080, or the next free one")] = None,
    policy: Annotated[Path | None, typer.Option(help="policy file for the first start")] = None,
    staff: Annotated[Path | None, typer.Option(help="staff feed for the first start")] = None,
) -> None:
    """Start everything on the embedded default, in the foreground; Ctrl-C stops it."""
    from services.embedded import run_up

    def do() -> None:
        given = {"data": data.absolute()} | ({"port": port} if port is not None else {})
        for file in filter(None, (policy, staff)):
            read_bytes(file)  # before anything is started for it
        code = run_up(
            Settings.load(**given),
            port_explicit=port is not None,
            policy_file=policy,
            staff_file=staff,
            announce=announce,
        )
        raise Told(code, {}, "")

    running(False, do)


def announce(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


@app.command()
def status(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Each part, its address, health and log position."""
    from services.embedded import status as parts_of

    def do() -> None:
        session = Session(as_json, data)
        parts = [part.__dict__.copy() for part in parts_of(data)]
        well = bool(parts) and all(part["health"] == "up" for part in parts)
        standing = session.ask(lambda desk: desk.standing()) if well else {}
        settings = settings_of(data).shown()
        value = {"parts": parts, **standing, "settings": settings}
        session.tell(value, show.status(parts, standing, data), DONE if well else AWAY)

    running(as_json, do)


@app.command()
def down(data: Data = DEFAULT_DATA) -> None:
    """Stop the running system."""
    from services.embedded import down as stop

    def do() -> None:
        raise Told(stop(data, announce), {}, "")

    running(False, do)


@app.command(hidden=True)
def serve(name: str) -> None:
    """One part of the system as a process of its own: worker, projector or api."""
    from services.parts import serve_part

    def do() -> None:
        data = os.environ.get("IMPRIMATUR_DATA")
        serve_part(name, Settings.of_data(Path(data)) if data else Settings.load())

    running(False, do)


@app.command(hidden=True)
def migrate() -> None:
    """Make or bring up to date roles, schemas and grants, where the database is not the embedded one."""
    from services.parts import migrate_by_settings

    running(False, lambda: migrate_by_settings(Settings.load()))


@app.command("first-start", hidden=True)
def first_start() -> None:
    """Found the system from IMPRIMATUR_POLICY_FILE and IMPRIMATUR_STAFF_FILE, if it is not."""
    from services.bootstrap import first_start as found

    def do() -> None:
        settings = Settings.load()
        found(settings, settings.policy_file, settings.staff_file)

    running(False, do)


@app.command()
def demo() -> None:
    """A whole account creation on real servers in a temporary folder, told step by step."""
    from services.demo import run_demo

    raise SystemExit(run_demo())


# the policy and the staff


@policy_app.command("show")
def policy_show(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """The policy in force."""

    def do() -> None:
        session = Session(as_json, data)
        policy = session.ask(lambda desk: desk.policy())
        session.tell(policy.model_dump(mode="json"), show.policy(policy))

    running(as_json, do)


@policy_app.command("check")
def policy_check(file: Path, as_json: Json = False) -> None:
    """Validate a policy file, naming line and field."""

    def do() -> None:
        text = read_text(file)
        policy = parse_policy(text, str(file))
        value = {"version": policy.version, "effective": str(policy.effective), "sha256": policy_hash(text)}
        Session(as_json).tell(value, f"{file}: version {policy.version}, in force from {policy.effective}: in order")

    running(as_json, do)


@policy_app.command("adopt")
def policy_adopt(file: Path, person: As, data: Data = DEFAULT_DATA, as_json: Json = False, id_: Id = None) -> None:
    """Adopt a new version, as the Executive Director."""

    def do() -> None:
        session = Session(as_json, data)
        text = read_text(file)
        parse_policy(text, str(file))
        answer = session.ask(
            lambda desk: desk.act("policy_adoption", "AdoptPolicy", {"text": text}, at_the_cli(person), id_)
        )
        session.tell_answer(answer, show.recorded(answer))

    running(as_json, do)


@staff_app.command("import")
def staff_import(
    file: Path,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the difference and record nothing")] = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="apply the rest; broken rows wait in the quarantine")
    ] = False,
    accept_leavers: Annotated[
        bool, typer.Option("--accept-leavers", help="however many are missing, they left")
    ] = False,
    system: Annotated[str, typer.Option("--system", help="the feed whose people these are")] = "staff-file",
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="when the file was made: an older one is refused")
    ] = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Feed the staff directory from a CSV that an HR system exports."""

    def do() -> None:
        session = Session(as_json, data)
        raw = read_bytes(file)
        terms = Terms(system, dry_run, skip_broken, accept_leavers, moment(as_of, "--as-of"))
        told = session.ask(lambda desk: desk.import_staff(raw, terms))
        code = (WRONG if dry_run else MALFORMED) if told["problems"] and not skip_broken else DONE
        if told.get("refused"):
            code = REFUSED
        session.tell(told, show.staff_import(told, str(file)), code)

    running(as_json, do)


@staff_app.command("list")
def staff_list(data: Data = DEFAULT_DATA, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Everyone in the directory."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        people = session.ask(lambda desk: desk.staff())
        session.tell(people, show.people(people))

    running(as_json, do)


@staff_app.command("show")
def staff_show(
    person: str, data: Data = DEFAULT_DATA, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """A person with roles and open work."""

    def do() -> None:
        session = Session(as_json, data, url, token)

        async def question(desk: Any) -> dict[str, Any]:
            (found,) = await desk.staff(person)
            return found if url else {**found, "open_work": await desk.inbox(person)}

        found = session.ask(question)
        session.tell(found, show.person(found))

    running(as_json, do)


# HR's systems


def ask_the_ledger(
    as_json: bool, data: Path, question: Callable[..., Any], in_words: Callable[[Any], str]
) -> NoReturn:
    def do() -> None:
        session = Session(as_json, data)
        told = session.ask(lambda desk: desk.of_the_ledger(question))
        if isinstance(told, dict) and told.get("refused"):
            session.tell_answer(told, "")
        session.tell(told, in_words(told))

    running(as_json, do)


app.add_typer(hr_commands(ask_the_ledger), name="hr")


def ask_the_installation(
    as_json: bool, data: Path, question: Callable[[Settings], Any], text: Callable[[Any], str], any_is_wrong: bool
) -> NoReturn:
    def do() -> None:
        answer = question(settings_of(data))
        Session(as_json, data).tell(answer, text(answer), WRONG if any_is_wrong and answer else DONE)

    running(as_json, do)


app.add_typer(webhook_commands(ask_the_installation), name="webhooks")
app.add_typer(key_commands(ask_the_installation), name="keys")
add_holds(app, ask_the_ledger)


def ask_the_desk(
    as_json: bool, data: Path, question: Callable[[Any], Awaitable[Any]], in_words: Callable[[Any], str]
) -> NoReturn:
    def do() -> None:
        session = Session(as_json, data)
        told = session.ask(question)
        if isinstance(told, dict) and (told.get("refused") or told.get("malformed")):
            session.tell_answer(told, "")
        session.tell(told, in_words(told))

    running(as_json, do)


app.add_typer(consent_commands(ask_the_desk, moment), name="consent")
app.add_typer(picture_commands(ask_the_desk), name="picture")
add_revocations(app, ask_the_desk)


@staff_app.command("preview")
def staff_preview(
    person: str,
    leaving: Annotated[str, typer.Option("--leaving", help="their last day, such as 2026-03-31")],
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """What would follow if a person left. Nothing is recorded."""

    def do() -> None:
        session = Session(as_json, data)
        found = session.ask(lambda desk: desk.preview_leaving(person, day(leaving)))
        session.tell(found, show.preview(found))

    running(as_json, do)


@staff_app.command("orphans")
def staff_orphans(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Prove that nothing open, delegated, granted or seated belongs to someone who is gone."""

    def do() -> None:
        session = Session(as_json, data)
        found = session.ask(lambda desk: desk.orphans())
        session.tell(found, show.orphans(found), WRONG if found else DONE)

    running(as_json, do)


def day(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise Malformed("--leaving", f"{given} is no day", "a date such as 2026-03-31") from None


@app.command()
def rights(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """The rights roster: who may post by a right, to which accounts, until when."""

    def do() -> None:
        session = Session(as_json, data)
        found = session.ask(lambda desk: desk.rights())
        session.tell(found, show.rights(found))

    running(as_json, do)


@app.command()
def remedies(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Accounts that have to be mended (PR-7), by when."""

    def do() -> None:
        session = Session(as_json, data)
        found = session.ask(lambda desk: desk.remedies())
        session.tell(found, show.remedies(found))

    running(as_json, do)


# cases


@app.command()
def request(
    process: str,
    fields: FieldsFile,
    person: As = "",
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
    id_: Id = None,
    concerns: Concerns = None,
) -> None:
    """Start a case; prints its id."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        given = fields_of(fields)
        caller = at_the_cli(person_of(person, url))
        answer = session.ask(
            lambda desk: followed(desk, desk.request(process, given, caller, id_, concerns or ()))
        )
        session.tell_answer(answer, show.requested(answer))

    running(as_json, do)


@app.command()
def act(
    case: str,
    command: str,
    fields: FieldsFile = None,
    person: As = "",
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
    id_: Id = None,
    concerns: Concerns = None,
) -> None:
    """A decision or step, as a workflow update: answers when it is recorded or refused."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        given = fields_of(fields)
        caller = at_the_cli(person_of(person, url))
        answer = session.ask(lambda desk: followed(desk, desk.act(case, command, given, caller, id_, concerns or ())))
        session.tell_answer(answer, show.recorded(answer))

    running(as_json, do)


async def followed(desk: Any, acting: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The answer, once whoever looks next will see what was done."""
    answer = await acting
    if answer.get("recorded"):
        await desk.seen(answer["log_position"])
    return answer


def person_of(person: str, url: str | None) -> str:
    if not person and not url:
        raise Malformed("--as", "nobody is named", "--as PERSON, an id that `staff list` shows")
    return person


@app.command()
def sign(
    case: str,
    command: str,
    fields: FieldsFile = None,
    person: As = "",
    data: Data = DEFAULT_DATA,
    id_: Id = None,
    concerns: Concerns = None,
    as_json: Json = False,
) -> None:
    """Print the signed payload that a plain Temporal signal or update must carry."""

    def do() -> None:
        session = Session(True, data)
        given = fields_of(fields)
        caller = Caller(person_of(person, None), METHOD, Channel.SIGNAL)
        payload = session.ask(lambda desk: desk.sign(case, command, given, caller, id_, concerns or ()))
        session.tell(payload, "")

    running(True, do)


@app.command()
def token(person: As, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Print a bearer token for the HTTP API."""

    def do() -> None:
        session = Session(as_json, data)

        async def question(desk: Any) -> str:
            await desk.staff(person)
            return str(desk.token(person, METHOD))

        made = session.ask(question)
        session.tell({"token": made}, made)

    running(as_json, do)


@case_app.command("list")
def case_list(data: Data = DEFAULT_DATA, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """All cases."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        cases = session.ask(lambda desk: desk.cases())
        session.tell(cases, show.cases(cases))

    running(as_json, do)


@case_app.command("show")
def case_show(
    case: str,
    at: At = None,
    in_force_at: InForceAt = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """One case: stage, facts, who is waited for, until when; each field with the event that set it."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        moments = moment(at), moment(in_force_at, "--in-force-at")
        found = session.ask(lambda desk: desk.case(case, None, *moments))
        session.tell(found, show.case(found))

    running(as_json, do)


@explain_app.command("posting")
def explain_posting(
    person: str,
    account: str,
    at: At = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """May they post to the account, now or at a past moment, and which events and clauses make it so."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        found = session.ask(lambda desk: desk.explain_posting(person, account, moment(at)))
        session.tell(found, show.explained(found))

    running(as_json, do)


@app.command()
def inbox(
    person: As = "", data: Data = DEFAULT_DATA, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """What waits for this person, by due time."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        tasks = session.ask(lambda desk: desk.inbox(person_of(person, url)))
        session.tell(tasks, show.inbox(tasks))

    running(as_json, do)


@app.command()
def accounts(data: Data = DEFAULT_DATA, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """The account register, with the health of PR-7."""

    def do() -> None:
        session = Session(as_json, data, url, token)
        found = session.ask(lambda desk: desk.accounts())
        session.tell(found, show.accounts(found))

    running(as_json, do)


@app.command()
def notices(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Outgoing mail: to whom, about what, and whether it was handed over."""

    def do() -> None:
        session = Session(as_json, data)
        found = session.ask(lambda desk: desk.notices())
        session.tell(found, show.notices(found))

    running(as_json, do)


@app.command()
def commands(process: str = "account_creation", as_json: Json = False) -> None:
    """The commands of a process, with their fields."""
    from services.forms import commands_of, fields_shown

    def do() -> None:
        found = {kind.partition(".")[2]: fields_shown(kind) for kind in commands_of(process)}
        Session(as_json).tell(found, show.commands(process, found))

    running(as_json, do)


@evidence_app.command("add")
def evidence_add(
    file: Path,
    case: Annotated[str, typer.Option("--case", help="the case it belongs to")],
    media_type: Annotated[str, typer.Option("--type", help="media type")] = "application/octet-stream",
    concerns: Concerns = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    as_json: Json = True,
) -> None:
    """Keep a file beside the log; prints what a command's `evidence` names."""

    def do() -> None:
        session = Session(True, data, url, token)
        content = read_bytes(file)
        session.tell(session.ask(lambda desk: desk.keep(content, media_type, case, concerns or ())), "")

    running(True, do)


# for auditors


def ask_for_the_record(
    as_json: bool,
    data: Path,
    url: str | None,
    token: str | None,
    question: Callable[[Any], Awaitable[Any]],
    text: Callable[[Any], str],
    is_wrong: Callable[[Any], bool],
) -> NoReturn:
    def do() -> None:
        session = Session(as_json, data, url, token)
        answer = session.ask(question)
        session.tell(answer, text(answer), WRONG if is_wrong(answer) else DONE)

    running(as_json, do)


add_record_commands(audit_app, ask_for_the_record)


def tell_of_the_proofs(
    as_json: bool,
    data: Path,
    question: Callable[[Settings], Any],
    text: Callable[[Any], str],
    is_wrong: Callable[[Any], bool],
) -> NoReturn:
    def do() -> None:
        answer = question(settings_of(data))
        Session(as_json, data).tell(answer, text(answer), WRONG if is_wrong(answer) else DONE)

    running(as_json, do)


add_proof_commands(audit_app, tell_of_the_proofs)


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
