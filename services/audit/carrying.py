"""What is taken away at a distance: written beside the log by the server, carried over as one tar, put where it is
wanted."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from domain.facts import Malformed
from services.audit.selection import Selection
from services.desk import Unreachable

if TYPE_CHECKING:
    from services.remote import RemoteDesk

TAKEN, SAID = "taken", "said.json"
# what some formats go by: it is the only part of a name that is taken over from elsewhere
ENDING = re.compile(r"\.[a-z0-9]{1,10}")


def named_there(wanted: str) -> str:
    """What the server calls it meanwhile."""
    ending = PurePosixPath(wanted).suffix
    return TAKEN + (ending if ENDING.fullmatch(ending) else "")


def packed_for_the_way(taken: Path, said: dict[str, Any], tar: Path) -> None:
    """What was written, and what was said of it, without the folder it was written in."""
    described = taken.with_name(SAID)
    described.write_text(json.dumps(elsewhere(said, str(taken), TAKEN), default=str), encoding="utf-8")
    with tarfile.open(tar, "w") as carried:
        carried.add(taken, TAKEN)
        carried.add(described, SAID)


async def carried_over(far: RemoteDesk, out: Path, selection: Selection, formats: Sequence[str]) -> dict[str, Any]:
    """As `records.export`, of a system elsewhere. Whoever asks is whoever the token says."""
    if out.exists():
        raise Malformed("OUT", f"{out} is there already", "a path that is not there yet")
    asked = selection._replace(
        since=selection.since and selection.since.isoformat(),  # type: ignore[arg-type]  # as JSON carries them
        until=selection.until and selection.until.isoformat(),  # type: ignore[arg-type]
    )
    fields = asked.wanted() | {"formats": [*formats], "name": out.name}
    with tempfile.TemporaryDirectory(dir=folder_of(out)) as beside:
        tar = Path(beside) / "carried.tar"
        await far.download("/audit/exports", fields, tar)
        try:
            unpacked(tar, Path(beside))
            said: dict[str, Any] = json.loads((Path(beside) / SAID).read_text(encoding="utf-8"))
        except (tarfile.TarError, OSError, ValueError) as error:
            raise Unreachable(f"{far.url} (what it sent cannot be read)") from error
        shutil.move(Path(beside) / TAKEN, out)
    return dict(elsewhere(said, TAKEN, str(out)))


def folder_of(out: Path) -> Path:
    """So that it is put in its place whole, or not at all."""
    if not out.absolute().parent.is_dir():
        raise Malformed("OUT", f"there is no folder {out.absolute().parent}", "a path in a folder that is there")
    return out.absolute().parent


def unpacked(tar: Path, into: Path) -> None:
    """Plain files alone, and none of them outside: it was made on a machine that is not ours."""
    with tarfile.open(tar) as carried:
        for member in carried:
            parts = PurePosixPath(member.name).parts
            if ".." in parts or member.name.startswith("/") or not (member.isfile() or member.isdir()):
                raise tarfile.ReadError(member.name)
            target = into.joinpath(*parts)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif content := carried.extractfile(member):
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("xb") as file:
                    shutil.copyfileobj(content, file)


def elsewhere(said: Any, was: str, is_: str) -> Any:
    """The same with every path of one place as a path of the other."""
    if isinstance(said, dict):
        return {name: elsewhere(each, was, is_) for name, each in said.items()}
    if isinstance(said, list | tuple):
        return [elsewhere(each, was, is_) for each in said]
    if isinstance(said, str) and (said == was or said.startswith(f"{was}/")):
        return is_ + said.removeprefix(was)
    return said
