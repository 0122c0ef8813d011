"""Sealed texts and files: who may open what, and what is left when a key is gone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from domain.facts import Evidence, Malformed, Sealed
from services.door import key_encryption_key
from services.evidence import LARGEST_FILE_BYTES, EvidenceStore
from services.recorder import LedgerRecorder
from services.seal import CannotOpen, KeyEncryptionKey, KeyFile, KeyStore, Seal, case_key
from services.settings import Settings, SettingsError
from tests.system import Database, Office, a_case

SECRET = "Because the handle names a living patron."
KEK = KeyEncryptionKey(b"k" * 32)


@pytest.fixture
def keys(database: Database) -> Iterator[KeyStore]:
    keys = KeyStore(database.url("keeper"), KEK)
    yield keys
    keys.close()


@pytest.fixture
def seal(keys: KeyStore) -> Seal:
    return Seal(keys)


def test_a_sealed_text_opens_for_the_command_and_field_it_was_sealed_for(seal: Seal) -> None:
    sealed = seal.text(SECRET, a_case(), "command", "reason")
    assert seal.opened(sealed, "command", "reason") == SECRET
    assert SECRET not in sealed.model_dump_json()


@pytest.mark.parametrize(("command", "field"), [("another", "reason"), ("command", "purpose"), ("command/reason", "")])
def test_it_opens_for_no_other_command_or_field(seal: Seal, command: str, field: str) -> None:
    sealed = seal.text(SECRET, a_case(), "command", "reason")
    with pytest.raises(CannotOpen):
        seal.opened(sealed, command, field)


def test_it_opens_under_no_other_case(seal: Seal) -> None:
    case, other = a_case(), a_case()
    sealed = seal.text(SECRET, case, "command", "reason")
    seal.text(SECRET, other, "command", "reason")
    with pytest.raises(CannotOpen):
        seal.opened(sealed.model_copy(update={"under": (case_key(other),)}), "command", "reason")


@pytest.mark.parametrize("part", ["wrapped", "nonce", "ciphertext"])
def test_it_opens_no_more_once_a_bit_of_it_is_changed(seal: Seal, part: str) -> None:
    sealed = seal.text(SECRET, a_case(), "command", "reason")
    was = getattr(sealed, part)
    for changed in (("B" if was[0] == "A" else "A") + was[1:], was[:-4], "no base64 \u2713"):
        damaged = sealed.model_copy(update={part: changed})
        with pytest.raises(CannotOpen):
            seal.opened(damaged, "command", "reason")


def test_the_same_text_in_the_same_place_seals_to_the_same_bytes(seal: Seal, database: Database) -> None:
    case = a_case()
    first = seal.text(SECRET, case, "command", "reason")
    other_process = KeyStore(database.url("keeper"), KEK)
    assert Seal(other_process).text(SECRET, case, "command", "reason") == first
    other_process.close()


def test_anything_else_gets_another_key_and_another_nonce(seal: Seal) -> None:
    case = a_case()
    sealed = [
        seal.text(SECRET, case, "command", "reason"),
        seal.text(SECRET + " ", case, "command", "reason"),
        seal.text(SECRET, case, "another", "reason"),
        seal.text(SECRET, case, "command", "purpose"),
        seal.text(SECRET, a_case(), "command", "reason"),
        seal.text(SECRET, case, "command", "reason", also_under=("patron:1",)),
    ]
    for part in ("wrapped", "nonce", "ciphertext"):
        assert len({getattr(each, part) for each in sealed}) == len(sealed)


def test_a_text_under_two_keys_needs_both_of_them(seal: Seal, database: Database) -> None:
    case, patron = a_case(), f"patron:{uuid4()}"
    sealed = seal.text(SECRET, case, "command", "reason", also_under=(patron,))
    assert seal.opened(sealed, "command", "reason") == SECRET
    assert sealed.under == (case_key(case), patron)
    for gone in sealed.under:
        with pytest.raises(CannotOpen, match=f"the key {gone} does not exist"):
            opened_without(gone, sealed, database)


def opened_without(gone: str, sealed: Sealed, database: Database) -> str:
    with psycopg.connect(database.url("keeper")) as conn:
        conn.execute("delete from keys.wrapping where key_id = %s", (gone,))
        conn.commit()
        keys = KeyStore(database.url("keeper"), KEK)
        try:
            return Seal(keys).opened(sealed, "command", "reason")
        finally:
            keys.close()


def test_the_key_table_holds_nothing_that_opens_anything(database: Database) -> None:
    keys = KeyStore(database.url("keeper"), KEK)
    case = a_case()
    clear = keys.keys([case_key(case)])[case_key(case)]
    with psycopg.connect(database.url("keeper")) as conn:
        rows = conn.execute("select key_id, wrapped, kek from keys.wrapping").fetchall()
    everything = b"".join(bytes(wrapped) for _, wrapped, _ in rows)
    assert clear not in everything
    assert b"k" * 32 not in everything
    assert {len(wrapped) for _, wrapped, _ in rows} == {40}
    assert {kek for *_, kek in rows} == {KEK.id}
    keys.close()


def test_with_another_key_encryption_key_nothing_opens_and_it_is_said_why(seal: Seal, database: Database) -> None:
    case = a_case()
    sealed = seal.text(SECRET, case, "command", "reason")
    other = KeyStore(database.url("keeper"), KeyEncryptionKey(b"x" * 32))
    with pytest.raises(CannotOpen, match="another key-encryption key"):
        Seal(other).opened(sealed, "command", "reason")
    with pytest.raises(CannotOpen, match="another key-encryption key"):
        Seal(other).text("a second text of the case", case, "command", "reason")
    other.close()


def test_of_two_who_make_a_key_at_once_both_seal_with_the_same(database: Database) -> None:
    stores = [KeyStore(database.url("keeper"), KEK) for _ in range(2)]
    for _ in range(5):
        key_id = case_key(a_case())
        with ThreadPoolExecutor(2) as both:
            made = [each.result() for each in [both.submit(store.keys, [key_id]) for store in stores]]
        assert made[0] == made[1] == stores[1].existing([key_id])
    for each in stores:
        each.close()


def test_the_key_file_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "key-encryption.key"
    first = KeyFile(file).made().newest()
    assert KeyFile(file).made().newest().id == first.id
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_the_key_stands_beside_data_and_not_in_it(tmp_path: Path) -> None:
    settings = Settings.load(data=tmp_path / "var")
    assert key_encryption_key(settings).file == tmp_path / "var.keys" / "key-encryption.key"
    assert (tmp_path / "var.keys").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "var").exists()


def test_an_installation_that_began_with_its_key_inside_goes_on_with_that_one(tmp_path: Path) -> None:
    settings = Settings.load(data=tmp_path / "var")
    inside = KeyFile(tmp_path / "var" / "secrets" / "key-encryption.key").made()
    assert key_encryption_key(settings).newest().id == inside.newest().id
    # a rotation was killed between the two files
    inside.file.rename(inside.next)
    assert key_encryption_key(settings).newest().id == inside.newest().id
    # moved as docs/privacy.md says
    (tmp_path / "var.keys").mkdir()
    kept = inside.newest().id
    inside.next.rename(tmp_path / "var.keys" / "key-encryption.key")
    assert key_encryption_key(settings).newest().id == kept


def test_another_place_is_not_begun_with_while_the_key_lies_inside(tmp_path: Path) -> None:
    inside = KeyFile(tmp_path / "var" / "secrets" / "key-encryption.key").made()
    settings = Settings.load(data=tmp_path / "var", key_file=tmp_path / "apart" / "key-encryption.key")
    with pytest.raises(SettingsError, match="move it to"):
        key_encryption_key(settings)
    (tmp_path / "apart").mkdir()
    kept = inside.newest().id
    inside.file.rename(tmp_path / "apart" / "key-encryption.key")
    assert key_encryption_key(settings).newest().id == kept


def test_where_the_key_cannot_be_kept_it_is_said_and_what_would_pass(tmp_path: Path) -> None:
    (tmp_path / "var.keys").write_text("a file where the folder would be")
    with pytest.raises(SettingsError, match=r"var\.keys.*IMPRIMATUR_KEY_FILE"):
        key_encryption_key(Settings.load(data=tmp_path / "var"))


# files


@pytest.fixture(scope="module")
def recorder(database: Database) -> Iterator[LedgerRecorder]:
    office = Office(database)
    yield office.ledger.recorder
    office.close()


@pytest.fixture
def store(tmp_path: Path, recorder: LedgerRecorder, seal: Seal) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence", recorder, seal)


def files_in(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_a_file_is_kept_sealed_under_the_hash_of_its_ciphertext_and_given_back(
    store: EvidenceStore, tmp_path: Path, database: Database
) -> None:
    content = b"a screenshot of the page" * 1_000
    evidence = store.put(content, "image/png", a_case())
    (kept,) = files_in(tmp_path)
    assert (kept.name, evidence.size, evidence.media_type) == (evidence.sha256, len(content), "image/png")
    assert b"a screenshot" not in kept.read_bytes()
    assert store.get(evidence) == content
    with psycopg.connect(database.url("reader")) as conn:
        noted = conn.execute("select size from ledger.evidence where sha256 = %s", (evidence.sha256,)).fetchall()
    assert noted == [(len(content),)]


def test_the_same_file_for_the_same_case_is_the_same_evidence_and_for_another_case_is_not(
    store: EvidenceStore, tmp_path: Path
) -> None:
    case = a_case()
    assert store.put(b"a logo", "image/png", case) == store.put(b"a logo", "image/png", case)
    assert len(files_in(tmp_path)) == 1
    store.put(b"a logo", "image/png", a_case())
    assert len(files_in(tmp_path)) == 2


def test_a_file_that_was_half_written_is_written_again(store: EvidenceStore, tmp_path: Path) -> None:
    case = a_case()
    evidence = store.put(b"a logo", "image/png", case)
    (kept,) = files_in(tmp_path)
    kept.write_bytes(kept.read_bytes()[:5])
    store.put(b"a logo", "image/png", case)
    assert store.get(evidence) == b"a logo"


@pytest.mark.parametrize("given", ["image/png\x00", "a patron's name", "image/jean-of-the-west-branch"])
def test_a_media_type_says_nothing_but_what_kind_of_file_it_is(store: EvidenceStore, given: str) -> None:
    with pytest.raises(Malformed) as malformed:
        store.put(b"a logo", given, a_case())
    assert malformed.value.field == "media_type"
    assert store.put(b"a logo", "Image/PNG; name=someone", a_case()).media_type == "image/png"


@pytest.mark.parametrize("content", [b"", b"x" * (LARGEST_FILE_BYTES + 1)], ids=["empty", "one byte too many"])
def test_an_empty_file_or_one_that_is_too_large_is_malformed_and_leaves_nothing(
    store: EvidenceStore, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(Malformed) as malformed:
        store.put(content, "image/png", a_case())
    assert (malformed.value.field, malformed.value.would_pass) == ("file", "1 to 25000000 bytes")
    assert not files_in(tmp_path)


def test_a_file_of_the_largest_size_is_kept(store: EvidenceStore) -> None:
    content = b"x" * LARGEST_FILE_BYTES
    assert store.get(store.put(content, "application/pdf", a_case())) == content


def test_a_file_that_was_changed_does_not_open(store: EvidenceStore, tmp_path: Path) -> None:
    evidence = store.put(b"a logo", "image/png", a_case())
    (kept,) = files_in(tmp_path)
    kept.write_bytes(bytes([kept.read_bytes()[0] ^ 1]) + kept.read_bytes()[1:])
    with pytest.raises(CannotOpen, match="changed or damaged"):
        store.get(evidence)


def test_a_file_that_is_lost_is_said_to_be_lost(store: EvidenceStore, tmp_path: Path) -> None:
    evidence = store.put(b"a logo", "image/png", a_case())
    (kept,) = files_in(tmp_path)
    kept.unlink()
    with pytest.raises(FileNotFoundError):
        store.get(evidence)


def test_a_file_of_another_case_opens_under_its_own_key_alone(store: EvidenceStore, seal: Seal) -> None:
    other = a_case()
    seal.text(SECRET, other, "command", "reason")
    evidence = store.put(b"a logo", "image/png", a_case())
    stolen = Evidence.model_validate(evidence.model_dump() | {"under": (case_key(other),)})
    with pytest.raises(CannotOpen):
        store.get(stolen)
