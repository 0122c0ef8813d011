"""`imprimatur audit verify`, `key`, `check`, `witness`: the log's proofs at the command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.facts import Malformed
from services import show
from services.audit.installation import public_key, verify_installation
from services.audit.keys import SigningKey, public_key_of
from services.audit.package_verifier import COSIGNATURE, Broken, check
from services.audit.published import put
from services.audit.witness import Inconsistent, Seen, Unreadable, Witness, reader_at
from services.clock import SystemClock
from services.commands.call import DONE, Call, Told, command, told
from services.settings import SettingsError

app = typer.Typer()

Published = Annotated[Path | None, typer.Option(help="a copy of the published folder, instead of ours")]
Checkpoints = Annotated[list[Path] | None, typer.Option(help="a checkpoint that you kept; repeatable")]
KnownKey = Annotated[Path | None, typer.Option(help="file with the log's public key, as you know it")]
Package = Annotated[Path, typer.Argument(metavar="PACKAGE", help="folder or .tar file")]
PackageKey = Annotated[Path, typer.Option("--key", help="file with the log's public key, not from the package")]
Witnesses = Annotated[list[Path] | None, typer.Option(help="file with a witness's public key")]
Place = Annotated[str, typer.Option("--from", help="the published folder, or its web address")]
LogKey = Annotated[Path, typer.Option("--key", help="file with the log's public key")]
OwnState = Annotated[Path, typer.Option("--state", help="folder of this witness: its key and what it cosigned")]
OwnName = Annotated[str, typer.Option("--name", help="the witness's name, such as audit.example/witness")]
HandIn = Annotated[Path | None, typer.Option(help="where cosigned checkpoints are handed in")]
Every = Annotated[float, typer.Option(help="look again after so many seconds; 0: look once")]


@command(app, here="it trusts nobody's word: it reads the stored bytes itself, with read access to the database")
def verify(call: Call, published: Published = None, checkpoint: Checkpoints = None, key: KnownKey = None) -> Told:
    """Read every stored event again: no gaps, columns as the bytes say, every checkpoint ever signed still true."""
    found = verify_installation(call.settings, published, key, checkpoint or [])
    return told(found, show.verified, wrong=bool(found["findings"]))


@command(app, "key", here="a key that a system tells of itself proves nothing: it is handed over by people")
def key_(call: Call) -> Told:
    """Print the log's public key: what auditors check with, handed to them outside of any package."""
    found = public_key(call.settings)
    if found is None:
        raise SettingsError("there is no log key yet: it is made when the system first starts")
    return Told(DONE, {"key": found.text}, found.text)


@command(app, "check", here="it is for checking where no system can be asked")
def check_(call: Call, package: Package, key: PackageKey, witness: Witnesses = None) -> Told:
    """Verify a package offline: no database, no server, no network; DATA is not looked at."""
    found = checked(package, key, witness or [])
    return told(found, in_words, wrong=bool(found["findings"]))


@command(app, "witness", here="it asks no desk; what is published is named by --from")
def witness_(
    call: Call,
    place: Place,
    key: LogKey,
    state: OwnState,
    name: OwnName,
    out: HandIn = None,
    every: Every = 0.0,
) -> Told:
    """Cosign the published checkpoint, if it is consistent with every one cosigned before. Run it elsewhere."""
    found = witnessed(place, key, state, name, out, every)
    return told(found, cosigned, wrong=bool(found["findings"]))


def checked(package: Path, key: Path, witnesses: list[Path]) -> dict[str, Any]:
    try:
        return check(package, public_key_of(key), [public_key_of(each) for each in witnesses]).as_json()
    except Broken as broken:
        if package.is_file():
            # a tar file that cannot be read to its end: damaged, and so a finding
            return {
                "findings": [{"where": str(package), "what": str(broken)}],
                "proven": [],
                "attested": [],
                "events": 0,
            }
        raise Malformed("PACKAGE", str(broken), "a folder or .tar file that `audit export` made") from None


def in_words(found: dict[str, Any]) -> str:
    lines = [f"WRONG  {each['where']}: {each['what']}" for each in found["findings"]]
    lines += [f"proven: {each}" for each in found["proven"]]
    lines += [f"attested only: {each}" for each in found["attested"]]
    ending = "NOT in order" if found["findings"] else "in order"
    return "\n".join([*lines, f"{found['events']} events: {ending}"])


def witnessed(place: str, key: Path, state: Path, name: str, out: Path | None, every: float) -> dict[str, Any]:
    """Looks until something is wrong, or once. What is published and contradicts itself is a finding, exit code 1."""
    if not name or any(sign.isspace() or sign == "+" for sign in name):
        raise Malformed("--name", "it is empty, or holds a space or a plus", "one such as audit.example/witness")
    own = SigningKey.of_file(state / "witness.key", name, COSIGNATURE)
    put(state / "witness.pub", f"{own.public.text}\n".encode())
    witness = Witness(public_key_of(key), own, state, reader_at(place), SystemClock())
    while True:
        try:
            seen = witness.look(hand_in(out))
        except (Inconsistent, Broken) as wrong:
            return {"findings": [{"where": place, "what": str(wrong)}], "size": 0, "cosigned": False}
        except Unreadable as away:
            if not every:
                raise Malformed("--from", str(away), "a published folder, or the address of one") from None
            seen = Seen(0, cosigned=False)
        if not every:
            return {"findings": [], "size": seen.size, "cosigned": seen.cosigned, "key": own.public.text}
        time.sleep(every)


def hand_in(out: Path | None) -> Callable[[str, bytes], None]:
    def handed(name: str, note: bytes) -> None:
        if out:
            put(out / "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in name), note)

    return handed


def cosigned(found: dict[str, Any]) -> str:
    if found["findings"]:
        return "\n".join(f"NOT cosigned: {each['where']}: {each['what']}" for each in found["findings"])
    done = "cosigned" if found["cosigned"] else "cosigned already"
    return f"The checkpoint of {found['size']} events is {done}; this witness's key: {found['key']}"
