"""Another key-encryption key takes the place of today's: whatever should open opens, what was destroyed never does, and
it may be killed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from uuid import uuid4

import psycopg
import pytest

from domain.facts import Sealed, case_key, patron_key
from services import key_rotation
from services.key_rotation import Rotated, destroy, finish, rotate
from services.key_store import KeyFile, key_in
from services.patrons import PatronIndex
from services.seal import CannotOpen, KeyDestroyed, KeyStore, Seal
from tests.system import Database, a_case

SAID = "Because the picture shows someone who was not asked."


class Killed(BaseException):
    """As kill -9: nothing after it runs, and the transaction it was in is not committed."""


class Vault:
    """A key file and a database of its own, and what is sealed with them."""

    def __init__(self, url: str, file: KeyFile) -> None:
        self.url, self.file = url, file
        self.keys = KeyStore(url, file)
        self.index = PatronIndex(self.keys)
        self.sealed: dict[str, Sealed] = {}

    def patron(self) -> str:
        patron = str(uuid4())
        under = (patron_key(patron),)
        self.sealed[patron] = Seal(self.keys).text(SAID, a_case(), "command", "reason", also_under=under)
        self.index.note(patron, {"name": f"Reader {patron}", "telephone": "662 555 0142"})
        return patron

    def opens(self, patron: str) -> bool:
        try:
            return Seal(self.keys).opened(self.sealed[patron], "command", "reason") == SAID
        except CannotOpen:
            return False

    def finds(self, patron: str) -> bool:
        return self.index.find({"name": f"reader {patron}"}) == [patron]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as conn:
            return conn.execute(query.encode()).fetchall()

    def bytes_of_the_folder(self) -> bytes:
        return b"".join(each.read_bytes() for each in self.file.file.parent.iterdir())


@pytest.fixture
def vault(database: Database, tmp_path: Path) -> Iterator[Vault]:
    with psycopg.connect(database.superuser) as conn:
        conn.execute("truncate keys.wrapping, keys.current, keys.destroyed, keys.patron_index")
    vault = Vault(database.url("keeper"), KeyFile(tmp_path / "keys" / "kek").made())
    yield vault
    vault.keys.close()


def names_in(vault: Vault) -> set[str]:
    return {each.name for each in vault.file.file.parent.iterdir()}


# rotating and destroying


def test_after_a_rotation_everything_opens_and_the_key_of_before_is_nowhere(vault: Vault) -> None:
    patrons = [vault.patron() for _ in range(3)]
    before, secret = vault.file.newest(), vault.file.file.read_bytes()
    rotated = rotate(vault.url, vault.file)
    assert rotated == Rotated(before.id, vault.file.newest().id, 7)
    assert before.id != rotated.after
    assert all(vault.opens(each) and vault.finds(each) for each in patrons)
    assert vault.opens(vault.patron())
    assert secret not in vault.bytes_of_the_folder()
    assert names_in(vault) == {"kek", "kek.lock"}
    assert {kek for (kek,) in vault.rows("select kek from keys.wrapping")} == {rotated.after}


def test_the_file_of_before_is_written_over_and_not_only_left(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second name for the same place on the disk shows what stands there afterwards."""
    vault.patron()
    kept = vault.file.file.with_name("second-name")
    kept.hardlink_to(vault.file.file)
    size = kept.stat().st_size
    rotate(vault.url, vault.file)
    assert kept.read_bytes() == bytes(size)


def test_who_is_forgotten_opens_nothing_and_is_not_found_and_all_others_are(vault: Vault) -> None:
    forgotten, *others = (vault.patron() for _ in range(3))
    hashes = {bytes(each) for (each,) in vault.rows("select digest from keys.patron_index") if isinstance(each, bytes)}
    done = destroy(vault.url, vault.file, [patron_key(forgotten)])
    assert not vault.opens(forgotten)
    assert not vault.finds(forgotten)
    assert all(vault.opens(each) and vault.finds(each) for each in others)
    assert vault.index.find({"telephone": "662 555 0142"}) == sorted(others)
    anew = {bytes(each) for (each,) in vault.rows("select digest from keys.patron_index") if isinstance(each, bytes)}
    # a name for each, and one telephone for all of them
    assert (len(hashes), len(anew), hashes & anew) == (4, 3, set())
    assert done == Rotated(done.before, vault.file.newest().id, 5)


def test_the_same_again_destroys_nothing_more_and_answers_the_same(vault: Vault) -> None:
    forgotten, other = vault.patron(), vault.patron()
    first = destroy(vault.url, vault.file, [patron_key(forgotten)])
    rotate(vault.url, vault.file)
    kek = vault.file.newest().id
    assert destroy(vault.url, vault.file, [patron_key(forgotten)]) == first
    assert vault.file.newest().id == kek
    assert vault.opens(other)


def test_nothing_more_is_sealed_for_someone_who_was_forgotten(vault: Vault) -> None:
    forgotten = vault.patron()
    destroy(vault.url, vault.file, [patron_key(forgotten)])
    with pytest.raises(KeyDestroyed):
        Seal(vault.keys).text(SAID, a_case(), "command", "reason", also_under=(patron_key(forgotten),))
    with pytest.raises(KeyDestroyed):
        vault.index.note(forgotten, {"name": "Reader"})
    assert vault.rows(f"select 1 from keys.wrapping where key_id = 'patron:{forgotten}'") == []


def test_someone_of_whom_nothing_was_sealed_can_be_forgotten_too(vault: Vault) -> None:
    nobody = str(uuid4())
    destroy(vault.url, vault.file, [patron_key(nobody)])
    with pytest.raises(KeyDestroyed):
        vault.index.note(nobody, {"name": "Reader"})


def test_whoever_has_another_key_file_rotates_nothing(vault: Vault, tmp_path: Path) -> None:
    patron = vault.patron()
    with pytest.raises(CannotOpen, match="another key-encryption key"):
        rotate(vault.url, KeyFile(tmp_path / "elsewhere" / "kek"))
    assert vault.opens(patron)


# killed anywhere


def killed_at(nth: int, of: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Killed just before the nth call of this, counted from the beginning of the rotation."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        real, calls = getattr(key_rotation, of), iter(range(1, 100))

        def or_killed(*given: object) -> object:
            if next(calls) == nth:
                raise Killed
            return real(*given)

        patch.setattr(key_rotation, of, or_killed)

    return plant


def killed_after(of: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        real = getattr(key_rotation, of)

        def and_killed(*given: object) -> object:
            real(*given)
            raise Killed

        patch.setattr(key_rotation, of, and_killed)

    return plant


KILLED = {
    "before the new key is written": killed_at(1, "write_secret"),
    "when the new key stands beside the old": killed_after("write_secret"),
    "within the transaction": killed_at(1, "index_key_made"),
    "at the end of the transaction": killed_after("hashed_anew"),
    "when it is committed": killed_at(2, "settle"),
    "before the old key is written over": killed_at(1, "overwrite"),
    "when the old key is written over": killed_after("overwrite"),
    "when the new key is in its place": killed_at(3, "on_the_disk"),
}
AFTER_THE_COMMIT = list(KILLED)[4:]


@pytest.mark.parametrize("where", KILLED)
def test_killed_anywhere_it_leaves_what_opens_whatever_it_should_and_is_finished_by_the_next(
    vault: Vault, where: str
) -> None:
    forgotten, *others = (vault.patron() for _ in range(3))
    with pytest.MonkeyPatch.context() as patch:
        KILLED[where](patch)
        with pytest.raises(Killed):
            destroy(vault.url, vault.file, [patron_key(forgotten)])
    assert all(vault.opens(each) and vault.finds(each) for each in others), where
    # nothing that a process remembers opens it, from the moment at which it is committed
    assert vault.opens(forgotten) is (where not in AFTER_THE_COMMIT)
    others.append(vault.patron())
    done = destroy(vault.url, vault.file, [patron_key(forgotten)])
    assert not vault.opens(forgotten)
    assert all(vault.opens(each) and vault.finds(each) for each in others)
    assert names_in(vault) == {"kek", "kek.lock"}
    assert (key_in(vault.file.file) or vault.file.newest()).id == done.after


@pytest.mark.parametrize("where", KILLED)
def test_a_start_finishes_what_was_killed(vault: Vault, where: str) -> None:
    patron = vault.patron()
    with pytest.MonkeyPatch.context() as patch:
        KILLED[where](patch)
        with pytest.raises(Killed):
            destroy(vault.url, vault.file, [patron_key(str(uuid4()))])
    finish(vault.url, vault.file)
    assert names_in(vault) == {"kek", "kek.lock"}
    assert vault.opens(patron)
    assert vault.file.file.stat().st_mode & 0o777 == 0o600


# at the same moment


def test_who_seals_and_opens_meanwhile_loses_nothing_and_sees_nobody_who_was_forgotten(vault: Vault) -> None:
    stays, over = vault.patron(), Event()

    def at_work() -> int:
        others = Vault(vault.url, vault.file)
        seen = 0
        try:
            while not over.is_set():
                assert others.opens(others.patron())
                others.sealed[stays] = vault.sealed[stays]
                assert others.opens(stays)
                seen += 1
            assert all(others.opens(each) for each in others.sealed)
        finally:
            others.keys.close()
        return seen

    with ThreadPoolExecutor(3) as workers:
        working = [workers.submit(at_work) for _ in range(3)]
        try:
            for _ in range(5):
                forgotten = vault.patron()
                destroy(vault.url, vault.file, [patron_key(forgotten)])
                assert not vault.opens(forgotten)
                rotate(vault.url, vault.file)
        finally:
            over.set()
        assert all(each.result() for each in working)
    assert {kek for (kek,) in vault.rows("select kek from keys.wrapping")} == {vault.file.newest().id}


def test_two_rotations_at_once_follow_each_other(vault: Vault) -> None:
    patron = vault.patron()
    with ThreadPoolExecutor(2) as both:
        done = [each.result() for each in [both.submit(rotate, vault.url, vault.file) for _ in range(2)]]
    assert {done[0].after, done[1].after} >= {vault.file.newest().id}
    assert len({done[0].before, done[1].before}) == 2
    assert vault.opens(patron)


def test_a_text_that_is_sealed_while_its_patron_is_forgotten_never_opens(vault: Vault) -> None:
    """The key was read before it was destroyed, and the text is stored after."""
    patron = vault.patron()
    case = a_case()
    sealing = Seal(vault.keys).under(case, "late", (patron_key(patron),))
    destroy(vault.url, vault.file, [patron_key(patron)])
    late = sealing.text(SAID, "reason")
    assert late.under == (case_key(case), patron_key(patron))
    with pytest.raises(CannotOpen):
        Seal(vault.keys).opened(late, "late", "reason")
