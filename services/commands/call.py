"""A command of the line, carried out: what it takes beside its own arguments, which desk it asks, how its end is told.

0 done · 1 a check found something wrong · 2 the call or its input is malformed · 3 refused by policy · 4 a needed
service cannot be reached.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, NamedTuple, NoReturn, ParamSpec

import click
import typer

from domain.facts import Channel, Malformed, Refused
from domain.policy import PolicyError
from services import show
from services.credentials import Unproven
from services.desk import Caller, Desk, Unreachable
from services.embedded_process import EmbeddedError
from services.founding import NotFounded
from services.remote import RemoteDesk
from services.settings import NotRunning, Settings, SettingsError

DONE, WRONG, MALFORMED, REFUSED, AWAY = 0, 1, 2, 3, 4
INTERRUPTED = 130
METHOD = "access to the installation"
DEFAULT_DATA = Path("var")

Json = Annotated[bool, typer.Option("--json", help="one JSON value on standard output, nothing else there")]
Data = Annotated[Path, typer.Option("--data", envvar="IMPRIMATUR_DATA", help="folder of the embedded system")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="IMPRIMATUR_URL", help="a system elsewhere, by its web address")
]
Token = Annotated[str | None, typer.Option("--token", envvar="IMPRIMATUR_TOKEN", help="bearer token for --url")]

# what several commands take of their own
As = Annotated[str, typer.Option("--as", help="person id from the staff directory; with --url it is the token's")]
Id = Annotated[str | None, typer.Option("--id", help="command id: the same again gets the first answer")]
At = Annotated[str | None, typer.Option("--at", help="RFC 3339 time, such as 2026-03-02T09:00:00-06:00")]
InForceAt = Annotated[
    str | None, typer.Option("--in-force-at", help="what was in force then, by what was on record at T")
]
Concerns = Annotated[
    list[str] | None, typer.Option("--concerns", help="a patron's id: what is said is sealed under their key too")
]
OfCase = Annotated[str, typer.Option("--case", help="the case it belongs to")]
Out = Annotated[Path, typer.Option("--out", help="a path that is not there yet")]

P = ParamSpec("P")
Question = Callable[[Any], Awaitable[Any]]


class Told(NamedTuple):
    """The end of a command: an exit code, what to print as JSON, and what to print for people."""

    code: int
    value: Any
    text: str


Body = Callable[Concatenate["Call", P], Told]


class Call(NamedTuple):
    """One call of the command line, and the system it speaks to."""

    data: Path
    url: str | None
    token: str | None
    as_json: bool

    @property
    def settings(self) -> Settings:
        return Settings.of_data(self.data)

    def ask(self, question: Question, far: Question | None = None) -> Any:
        """The question put to the desk of DATA, or to that of --url: `far`, where it is put otherwise over there."""
        if not self.url:
            return asked(Desk(self.settings), question)
        return asked(RemoteDesk(self.url, self.token or ""), far or question)

    def person(self, named: str) -> str:
        """Whom the call names; at a distance it is the token that says who asks."""
        if not named and not self.url:
            raise Malformed("--as", "nobody is named", "--as PERSON, an id that `staff list` shows")
        return named

    def caller(self, named: str, channel: Channel = Channel.CLI) -> Caller:
        return Caller(self.person(named), METHOD, channel)

    def say(self, line: str) -> None:
        """Something for people meanwhile; never where the one JSON value is to stand."""
        click.echo(line, err=self.as_json)
        sys.stdout.flush()


def asked(desk: Any, question: Question) -> Any:
    async def asking() -> Any:
        return await question(desk)

    try:
        return asyncio.run(asking())
    finally:
        desk.close()


def told(value: Any, in_words: Callable[[Any], str], *, wrong: bool = False) -> Told:
    """An answer as it is: recorded or found (0), found to be `wrong` (1), malformed (2), refused by policy (3)."""
    if isinstance(value, dict) and value.get("refused"):
        return Told(REFUSED, value, show.refusal(value["refused"]))
    if isinstance(value, dict) and value.get("malformed"):
        return Told(MALFORMED, value, show.malformed(**value["malformed"]))
    return Told(WRONG if wrong else DONE, value, in_words(value))


def command(
    app: typer.Typer, name: str | None = None, *, here: str = "", always_json: bool = False
) -> Callable[[Body[P]], Body[P]]:
    """Makes the function a command that takes --data, --json, --url and --token too. `here` says why it cannot act at a
    distance: then it takes no --url, and its help gives the reason."""

    def made(body: Body[P]) -> Body[P]:
        @wraps(body)
        def called(**given: Any) -> None:
            as_json = given.pop("as_json") or always_json
            url, token = (None, None) if here else (given.pop("url"), given.pop("token"))
            call = Call(given.pop("data"), url, token, as_json)
            finish(outcome(lambda: body(call, **given)), as_json)  # type: ignore[call-arg]  # typer filled them in

        signature = with_options(body, at_a_distance=not here)
        called.__signature__ = signature  # type: ignore[attr-defined]
        called.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
        why = f"\n\nNo --url: {here}." if here else ""
        app.command(name, help=inspect.cleandoc(body.__doc__ or "") + why)(called)
        return body

    return made


def with_options(body: Callable[..., Any], at_a_distance: bool) -> inspect.Signature:
    """What the body takes after the call itself, and what every command takes."""
    _, *own = inspect.signature(body, eval_str=True).parameters.values()
    options: list[tuple[str, Any, Any]] = [("data", Data, DEFAULT_DATA)]
    if at_a_distance:
        options += [("url", Url, None), ("token", Token, None)]
    options.append(("as_json", Json, False))
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    common = [inspect.Parameter(name, kind, default=default, annotation=type_) for name, type_, default in options]
    return inspect.Signature([*own, *common])


def outcome(do: Callable[[], Told]) -> Told:
    """Every command ends here: no traceback for people, one line that says what, where and what would pass."""
    try:
        return do()
    except Malformed as error:
        return malformed(error.field, error.message, error.would_pass)
    except PolicyError as error:
        return Told(MALFORMED, {"problems": [each._asdict() for each in error.problems]}, str(error))
    except NotRunning as error:
        return Told(AWAY, {"unreachable": str(error)}, str(error))
    except (Unproven, SettingsError, NotFounded) as error:
        wrong = {"field": "call", "message": str(error), "would_pass": ""}
        return Told(MALFORMED, {"malformed": wrong}, str(error))
    except Refused as error:
        refused = {"clauses": list(error.clauses), "because": error.because, "remedy": error.remedy}
        return Told(REFUSED, {"refused": refused}, show.refusal(refused))
    except EmbeddedError as error:
        return Told(error.exit_code, {"error": str(error)}, str(error))
    except Unreachable as error:
        return Told(AWAY, {"unreachable": str(error)}, str(error))
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        # a path that was named for something to be written to
        return malformed("call", f"{error.filename}: {error.strerror}", "a path that may be written to")
    except KeyboardInterrupt:
        text = "Interrupted: whatever was not answered is safe to repeat with the same --id"
        return Told(INTERRUPTED, {"interrupted": True}, text)


def malformed(field: str, message: str, would_pass: str) -> Told:
    wrong = {"field": field, "message": message, "would_pass": would_pass}
    return Told(MALFORMED, {"malformed": wrong}, show.malformed(**wrong))


def finish(end: Told, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps(end.value, ensure_ascii=False, default=str))
        if end.code not in (DONE, REFUSED) and end.text:
            click.echo(end.text, err=True)
    elif end.text:
        click.echo(end.text, err=end.code != DONE)
    raise SystemExit(end.code)


# what people hand in


def fields_of(source: str | None, name: str = "FIELDS.json") -> dict[str, Any]:
    """The fields from a file or standard input; an absent argument is a command without fields."""
    if source is None:
        return {}
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(name, f"{source} cannot be read: {error}", "a JSON file in UTF-8") from None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Malformed(name, f"not JSON: {error}", '{"field": "value", …}') from None
    if not isinstance(value, dict):
        raise Malformed(name, "not a JSON object", '{"field": "value", …}')
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
