"""Histories that were recorded once and are never changed: each still replays with today's code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.system import ROOT
from tests.workflows.record_histories import EVERY_PATH, FOLDER, add, read
from tests.workflows.running import NEUTRAL, replay
from workflows.catalogue import WORKFLOWS

HISTORIES = sorted(FOLDER.glob("*.json"))


def test_there_are_histories_of_every_path() -> None:
    names = {file.stem for file in HISTORIES}
    assert [path for path in EVERY_PATH if not any(f"-{path}-" in name for name in names)] == []
    assert any(name.endswith("-continued-2") for name in names)


def test_there_are_histories_of_every_workflow() -> None:
    assert {read(file).workflow_id.partition("-")[0] for file in HISTORIES} == set(WORKFLOWS)


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_golden_history_replays_with_todays_code(file: Path) -> None:
    remembered = await replay(read(file))
    _, path, run = file.stem.rsplit("-", 2)
    stage = {"opened": "open", "continued": "executive_review" if run == "1" else "withdrawn"}.get(path, path)
    assert remembered is not None
    assert stage.startswith(remembered.stage)


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_golden_history_names_no_machine(file: Path) -> None:
    identities = set(re.findall(r'"identity":\s*"([^"]*)"', file.read_text()))
    assert identities <= {NEUTRAL, "", "history-service", "worker-service", "temporal-system"}, identities
    assert str(ROOT) not in file.read_text()
    assert "/home/" not in file.read_text()


def test_a_golden_history_is_not_written_over(tmp_path: Path) -> None:
    history = read(HISTORIES[0])
    add(tmp_path / "one.json", history)
    assert json.loads((tmp_path / "one.json").read_text())["workflow"] == history.workflow_id
    with pytest.raises(FileExistsError):
        add(tmp_path / "one.json", history)
