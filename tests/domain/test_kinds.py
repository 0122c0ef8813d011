"""What was stored once can be read for ever: bytes of every kind and version, which are added to and never changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from domain.account_creation import AccountCase, Stage
from domain.attempts import SUFFIX
from domain.facts import KINDS, Command, Envelope, Fact, Message, Recorded
from domain.pages import PAGES
from domain.register import Register
from tests.domain.store_kinds import (
    STORED,
    a_life,
    examples,
    fields_in,
    folder_of,
    has_todays_shape,
    kind_of,
    kinds_of,
    versions_of,
    written_once,
)

FACTS = sorted(folder_of(Fact).glob("*"))
COMMANDS = sorted(folder_of(Command).glob("*"))
STREAMS = sorted((STORED / "streams").glob("*"))
STORE = "run `python -m tests.domain.store_kinds` and commit what it adds"


def name(file: Path) -> str:
    return file.stem


def recorded(raw: bytes) -> Recorded:
    envelope = Envelope.model_validate_json(raw)
    return Recorded(envelope, envelope.opened(), envelope.position, envelope.at)


def test_there_are_stored_bytes() -> None:
    assert FACTS
    assert COMMANDS
    assert STREAMS


@pytest.mark.parametrize("message", [Fact, Command])
def test_every_kind_has_stored_bytes_and_nothing_else_has(message: type[Message]) -> None:
    stored = {kind_of(file) for file in folder_of(message).iterdir()}
    assert stored == set(kinds_of(message)), STORE


@pytest.mark.parametrize("file", FACTS, ids=name)
def test_each_stored_fact_still_loads_and_folds(file: Path) -> None:
    each = recorded(file.read_bytes())
    assert each.fact.kind == each.envelope.kind == kind_of(file)
    Register().evolve(each.envelope, each.fact, 1)
    if SUFFIX not in each.envelope.case:
        page = PAGES[each.envelope.case.partition("-")[0]]
        assert page.fold(page.initial(each.envelope.case), [each]).position == each.envelope.position


@pytest.mark.parametrize("file", COMMANDS, ids=name)
def test_each_stored_command_still_loads(file: Path) -> None:
    received = json.loads(file.read_bytes())
    assert received["kind"] == kind_of(file)
    assert isinstance(KINDS[received["kind"]].model_validate(received["fields"]), Command)


@pytest.mark.parametrize("kind", [*kinds_of(Fact), *kinds_of(Command)])
def test_the_newest_stored_bytes_of_a_kind_have_todays_shape(kind: str) -> None:
    message = KINDS[kind]
    newest = versions_of(kind, folder_of(message))[-1].read_bytes()
    assert has_todays_shape(newest, message), f"{kind} is stored in a new shape: {STORE}"


def test_an_envelope_of_todays_shape_is_stored() -> None:
    shapes = [set(json.loads(file.read_bytes())) for file in FACTS]
    assert set(Envelope.model_fields) in shapes


def test_an_envelope_loads_to_what_it_was_and_is_written_back_byte_for_byte() -> None:
    for file in (versions_of(kind, folder_of(Fact))[-1] for kind in kinds_of(Fact)):
        raw = file.read_bytes()
        assert Envelope.model_validate_json(raw).model_dump_json().encode() == raw


@pytest.mark.parametrize("file", STREAMS, ids=name)
def test_a_stored_case_still_comes_to_the_same_stage(file: Path) -> None:
    each = [recorded(line) for line in file.read_bytes().splitlines()]
    page = PAGES["account_creation"]
    state = page.fold(page.initial(each[0].envelope.case), each)
    assert isinstance(state, AccountCase)
    assert state.stage == file.name.partition(".")[0]
    assert (state.position, state.policy) == (len(each), "2026-1")
    assert state.waiting is None


def test_a_stored_case_came_to_each_end() -> None:
    ends = {file.name.partition(".")[0] for file in STREAMS}
    assert ends == {Stage.OPEN, Stage.REFUSED, Stage.WITHDRAWN, Stage.EXPIRED}


def test_a_life_makes_every_kind_of_fact() -> None:
    """So that a new kind can be stored: it has to happen in `a_life` first."""
    made = {kind for _, kind, _ in examples(a_life())}
    assert made == {*kinds_of(Fact), *kinds_of(Command)}


def test_a_field_that_nobody_knows_is_not_read_over() -> None:
    file = folder_of(Fact) / "account_creation.AccountApproved.v1.json"
    envelope = Envelope.model_validate_json(file.read_bytes())
    with pytest.raises(ValueError, match="unheard_of"):
        envelope.model_copy(update={"fact": {**fields_in(file.read_bytes()), "unheard_of": 1}}).opened()


def test_what_is_stored_is_not_overwritten(tmp_path: Path) -> None:
    written_once(tmp_path / "x.v1.json", b"{}")
    with pytest.raises(FileExistsError):
        written_once(tmp_path / "x.v1.json", b"{}")


def test_no_commit_has_changed_or_removed_what_was_stored() -> None:
    git = shutil.which("git")
    if git is None or not any((folder / ".git").exists() for folder in STORED.parents):
        pytest.skip("this copy has no history to look at")
    for look in (["log", "--format="], ["diff", "HEAD"]):
        command = [git, *look, "--name-only", "--diff-filter=DMRT", "--", "."]
        found = subprocess.run(command, cwd=STORED, capture_output=True, text=True, check=True)
        assert found.stdout.split() == []
