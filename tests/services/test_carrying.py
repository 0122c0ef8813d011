"""What a server far away sends as a tar is put where it was wanted, and nowhere else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from services.audit.carrying import SAID, TAKEN, elsewhere, named_there, packed_for_the_way, unpacked


def test_a_folder_comes_over_whole_and_what_was_said_of_it_names_no_place_of_the_server(tmp_path: Path) -> None:
    taken, tar, into = tmp_path / TAKEN, tmp_path / "carried.tar", tmp_path / "into"
    (taken / "below").mkdir(parents=True)
    (taken / "below" / "events.jsonl").write_text("{}")
    packed_for_the_way(taken, {"out": str(taken), "jsonl": {"file": str(taken / "below")}, "events": 3}, tar)
    unpacked(tar, into)
    assert (into / TAKEN / "below" / "events.jsonl").read_text() == "{}"
    assert str(tmp_path) not in (into / SAID).read_text()


@pytest.mark.parametrize("name", ["../outside", "{here}/outside", "taken/../../outside"])
def test_nothing_is_put_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(tarfile.TarError):
        unpacked(a_tar(tmp_path, tarfile.TarInfo(name.format(here=tmp_path))), tmp_path / "into")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_plain_files_and_folders_alone_are_unpacked(tmp_path: Path, type_: bytes) -> None:
    link = tarfile.TarInfo("taken")
    link.type, link.linkname = type_, "/etc/hostname"
    with pytest.raises(tarfile.TarError):
        unpacked(a_tar(tmp_path, link), tmp_path / "into")


def a_tar(folder: Path, *members: tarfile.TarInfo) -> Path:
    tar = folder / "carried.tar"
    with tarfile.open(tar, "w") as carried:
        for member in members:
            carried.addfile(member, io.BytesIO())
    return tar


@pytest.mark.parametrize(
    ("wanted", "there"),
    [("x", "taken"), ("x.tar", "taken.tar"), ("x.json", "taken.json"), ("x.../y", "taken"), ("x.T R", "taken")],
)
def test_of_a_name_its_ending_alone_is_taken_over(wanted: str, there: str) -> None:
    assert named_there(wanted) == there


def test_a_path_of_another_place_is_left_alone() -> None:
    said = {"out": "/tmp/taken", "file": "/tmp/taken/a", "title": "/tmp/taken-away", "list": ["/tmp/taken"]}  # noqa: S108
    assert elsewhere(said, "/tmp/taken", "here") == {  # noqa: S108
        "out": "here", "file": "here/a", "title": "/tmp/taken-away", "list": ["here"],  # noqa: S108
    }  # fmt: skip
