"""Whoever owns the database can change anything in it. Each way of doing so is found and named; nothing else is."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.audit import verify
from services.audit.installation import verify_installation
from services.audit.keys import SigningKey
from services.audit.notary import Keeping, Notary, WillNotSign, has_the_lock, refusal_beside
from services.audit.package_verifier import Checkpoint
from services.audit.proof_tables import ProofTables
from services.audit.published import Published, put
from services.audit.tree import WIDTH, Frontier
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.settings import Settings, secrets_folder
from tests.fresh import PASSWORDS, fresh_database
from tests.projections.history import Life
from tests.services.proving import SignedLog, a_copy, a_signed_log
from tests.system import Office

EDITED = 150
ANOTHER = 190


@pytest.fixture(scope="module")
def original(server: EmbeddedPostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedLog]:
    with fresh_database(server) as database:
        yield a_signed_log(database, tmp_path_factory.mktemp("signed"))


@pytest.fixture
def log(server: EmbeddedPostgreSQL, original: SignedLog, tmp_path: Path) -> Iterator[SignedLog]:
    copy = a_copy(server, original, tmp_path)
    yield copy
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        conn.execute(f"drop database {copy.database.name} with (force)".encode())


def edit(log_position: int) -> str:
    """Another channel, in the bytes and in the column: nothing within the database contradicts it."""
    return f"""update ledger.events set channel = 'web', state = convert_to(
        replace(convert_from(state, 'UTF8'), '"channel":"api"', '"channel":"web"'), 'UTF8')
        where notification_id = {log_position}"""


def swap(one: int, other: int) -> list[str]:
    return [
        f"update ledger.events set notification_id = -1 where notification_id = {one}",
        f"update ledger.events set notification_id = {one} where notification_id = {other}",
        f"update ledger.events set notification_id = {other} where notification_id = -1",
    ]


def shift(after: int, by: int) -> list[str]:
    return [
        f"update ledger.events set notification_id = -notification_id where notification_id > {after}",
        f"update ledger.events set notification_id = {by} - notification_id where notification_id < 0",
    ]


def remove(log_position: int) -> list[str]:
    """The newest event of its stream, so that no stream has a gap; and all positions after it move up."""
    return [f"delete from ledger.events where notification_id = {log_position}", *shift(log_position, -1)]


def last_of_a_stream(log: SignedLog) -> int:
    query = """select min(last) from (select max(notification_id) as last from ledger.events
        where originator_id like 'account_creation-%' group by originator_id) as e"""
    with psycopg.connect(log.database.superuser) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


# nothing changed, nothing found


def test_where_nothing_was_changed_nothing_is_found(original: SignedLog) -> None:
    assert original.length() > WIDTH
    assert len(original.kept) > 3
    assert original.found() == []
    assert original.found(published=False, kept=True) == []
    assert original.published.leaves() == original.length()


def test_what_is_recorded_later_stands_under_the_next_checkpoint(log: SignedLog) -> None:
    office = Office(log.database)
    try:
        Life(office).asks_for("anotherbranch")
    finally:
        office.close()
    assert log.found(kept=True) == []
    log.sign()
    assert log.found(kept=True) == []
    sizes = [Checkpoint.opened(note, log.key.public).size for note in log.kept]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == log.length()


def test_destroying_keys_breaks_no_proof(log: SignedLog) -> None:
    with psycopg.connect(log.database.superuser) as conn:
        conn.execute("delete from keys.wrapping")
    assert log.found(kept=True) == []


# the database's owner changes the log


def test_an_edited_event_is_named(log: SignedLog) -> None:
    log.as_superuser(edit(EDITED))
    first = log.found()[0]
    assert first["where"] == log.place(EDITED)
    assert first["what"].startswith("edited")


def test_of_several_edited_events_the_first_is_named(log: SignedLog) -> None:
    log.as_superuser(edit(ANOTHER), edit(EDITED))
    assert log.found()[0]["where"] == log.place(EDITED)


def test_another_recording_time_is_an_edit(log: SignedLog) -> None:
    log.as_superuser(
        f"update ledger.events set recorded_at = recorded_at - interval '1 day' where notification_id = {EDITED}"
    )
    first = log.found()[0]
    assert first["where"] == log.place(EDITED)
    assert first["what"].startswith("edited: it was recorded at")


def test_two_events_that_changed_places_are_named(log: SignedLog) -> None:
    first_place = log.place(EDITED)
    log.as_superuser(*swap(EDITED, ANOTHER))
    first = log.found()[0]
    assert first["where"] == first_place
    assert first["what"] == f"re-ordered: it stands at log {ANOTHER} now"


def test_a_removed_event_is_named_though_all_after_it_were_renumbered(log: SignedLog) -> None:
    gone = last_of_a_stream(log)
    place = log.place(gone)
    log.as_superuser(*remove(gone))
    first = log.found()[0]
    assert first["where"] == place
    assert first["what"].startswith("removed")


def test_an_inserted_event_is_named(log: SignedLog) -> None:
    columns = "topic, recorded_at, at, occurred_at, actor, on_behalf_of, role, place, channel, cause, policy, shared"
    log.as_superuser(
        *shift(EDITED, 1),
        f"""insert into ledger.events ({columns}, originator_id, originator_version, notification_id, state, event_id,
            command_id, correlation, clauses, read_up_to) select {columns}, originator_id, 1000, {EDITED + 1},
            convert_to(replace(convert_from(state, 'UTF8'), '"position":'||originator_version, '"position":1000'),
            'UTF8'), event_id || 'x', command_id, correlation, clauses, read_up_to
            from ledger.events where notification_id = {EDITED}""",
    )
    first = log.found()[0]
    assert first["where"] == log.place(EDITED + 1)
    assert first["what"].startswith("inserted")


def test_a_log_cut_at_its_end_is_named_by_the_first_event_that_is_gone(log: SignedLog) -> None:
    place, length = log.place(EDITED), log.length()
    log.as_superuser(f"delete from ledger.events where notification_id >= {EDITED}")
    first = log.found()[0]
    assert first["where"] == place
    assert (
        first["what"]
        == f"rolled back: the log ends before it, and {length - EDITED + 1} event(s) from here on are gone"
    )


def test_a_gap_left_open_is_named_too(log: SignedLog) -> None:
    gone = last_of_a_stream(log)
    place = log.place(gone)
    log.as_superuser(f"delete from ledger.events where notification_id = {gone}")
    found = log.found()
    assert found[0]["where"] == place
    assert any(f"log position {gone} was expected here" in each["what"] for each in found)


@pytest.mark.parametrize(
    ("column", "value"),
    [("role", "'executive_director'"), ("actor", "'person:p-ed'"), ("clauses", "array['PS-2']"),
     ("at", "at + interval '1 second'"), ("shared", "not shared"), ("read_up_to", "read_up_to + 1"),
     ("event_id", "'another'")],
)  # fmt: skip
def test_a_column_that_says_otherwise_than_the_bytes_is_named(log: SignedLog, column: str, value: str) -> None:
    log.as_superuser(f"update ledger.events set {column} = {value} where notification_id = {EDITED}")
    said = {"where": log.place(EDITED), "what": f"the column {column} is not what the stored bytes say"}
    assert said in log.found()


def test_an_event_id_that_another_event_has_is_named(log: SignedLog) -> None:
    """In the bytes and in the column, so that these two agree."""
    log.as_superuser(
        f"""update ledger.events e set event_id = o.event_id, state = convert_to(
            replace(convert_from(e.state, 'UTF8'), e.event_id, o.event_id), 'UTF8')
            from ledger.events o where o.notification_id = {EDITED} and e.notification_id = {ANOTHER}"""
    )
    said = f"the event id {log.event(EDITED)['event_id']} occurs twice"
    assert {"where": log.place(ANOTHER), "what": said} in log.found()


def test_what_is_not_signed_for_yet_is_looked_at_as_closely(log: SignedLog) -> None:
    office = Office(log.database)
    try:
        case = Life(office).has_an_open_account("notsigned")
    finally:
        office.close()
    newest = log.length()
    log.as_superuser(*swap(newest, newest - 1))
    found = log.found()
    assert {each["where"].split(",")[1].split()[0] for each in found} == {case}
    assert any("stands after it" in each["what"] for each in found)


# … and rewrites the proofs to go with it


def rewrite_the_proofs(log: SignedLog, key: SigningKey) -> None:
    """A new tree over the changed log, in the database; signed with whatever key there is."""
    log.as_superuser("delete from proofs.checkpoints", "delete from proofs.nodes", "delete from proofs.leaves")
    elsewhere = log.folder / "forger"
    Notary(log.database.url("notary"), key, Published(elsewhere), elsewhere / "memory").once()


def test_rewritten_proofs_do_not_hide_which_event_was_edited(log: SignedLog) -> None:
    log.as_superuser(edit(EDITED))
    rewrite_the_proofs(log, SigningKey.fresh(log.key.public.name))
    found = log.found()
    assert found[0]["where"] == log.place(EDITED)
    assert found[0]["what"].startswith("edited")
    assert any("this is no checkpoint of" in each["what"] for each in found)


def test_with_checkpoints_alone_the_stretch_is_named(log: SignedLog) -> None:
    log.as_superuser(edit(EDITED))
    rewrite_the_proofs(log, SigningKey.fresh(log.key.public.name))
    sizes = [Checkpoint.opened(note, log.key.public).size for note in log.kept]
    agrees = max(size for size in sizes if size < EDITED)
    differs = min(size for size in sizes if size >= EDITED)
    assert f"log {agrees + 1} to {differs}" in [each["where"] for each in log.found(published=False, kept=True)]


def test_whoever_rewrites_the_published_folder_as_well_is_held_to_the_auditors_checkpoints(log: SignedLog) -> None:
    log.as_superuser(edit(EDITED))
    forger = SigningKey.fresh(log.key.public.name)
    rewrite_the_proofs(log, forger)
    shutil.rmtree(log.published.folder)
    (log.folder / "forger").rename(log.published.folder)
    found = log.found(kept=True)
    assert any("not those that were signed for" in each["what"] for each in found)
    assert any("this is no checkpoint of" in each["what"] for each in found)


def test_the_logs_own_key_signing_a_second_history_is_found_as_that(log: SignedLog) -> None:
    log.as_superuser(edit(EDITED))
    rewrite_the_proofs(log, log.key)
    found = log.found(kept=True)
    assert any("two different trees of" in each["what"] for each in found)
    assert any(each["where"] == log.place(EDITED) for each in found)


def test_a_changed_leaf_in_the_proof_tables_is_named(log: SignedLog) -> None:
    log.as_superuser(f"update proofs.leaves set hash = sha256('another') where index = {EDITED - 1}")
    found = log.found()
    assert found == [
        {
            "where": log.place(EDITED),
            "what": "the proof tables hold another leaf for it: the event or the tables were changed",
        }
    ]


def test_a_changed_node_in_the_proof_tables_is_found(log: SignedLog) -> None:
    log.as_superuser("update proofs.nodes set hash = sha256('another')")
    assert [each["where"] for each in log.found()] == ["the proof tables"]


def test_a_checkpoint_missing_in_the_tables_is_named(log: SignedLog) -> None:
    size = Checkpoint.opened(log.kept[1], log.key.public).size
    log.as_superuser(f"delete from proofs.checkpoints where size = {size}")
    assert f"proofs.checkpoints, size {size}" in [each["where"] for each in log.found()]


# while it is recorded, signed and published


def test_what_is_published_while_the_log_is_read_is_no_finding(log: SignedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    read = verify.pages

    def meanwhile(*given: Any) -> Iterator[Any]:
        office = Office(log.database)
        try:
            Life(office).asks_for("meanwhile")
        finally:
            office.close()
        log.sign()
        return read(*given)

    monkeypatch.setattr(verify, "pages", meanwhile)
    assert log.found() == []
    assert log.published.leaves() == log.length()


def test_what_was_signed_a_moment_ago_and_is_not_in_the_tables_yet_is_no_finding(
    log: SignedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(log.database)
    try:
        Life(office).asks_for("amomentago")
    finally:
        office.close()

    def killed(*_: object) -> None:
        raise ConnectionError

    notary = log.notary()
    with monkeypatch.context() as patched:
        patched.setattr(ProofTables, "add_checkpoint", killed)
        with pytest.raises(ConnectionError):
            notary.once()
    put(secrets_folder(log.folder) / "log.key", log.key.text.encode())
    settings = Settings.load(data=log.folder, IMPRIMATUR_READER_URL=log.database.url("reader"))
    assert verify_installation(settings)["findings"] == []
    log.sign()
    assert verify_installation(settings)["signed"] == log.length()


# the published folder


def test_a_forged_checkpoint_is_named(log: SignedLog) -> None:
    found = Checkpoint.opened(log.kept[-1], log.key.public)
    forged = SigningKey.fresh(log.key.public.name).sign(found._replace(root=bytes(32)).text)
    (log.published.folder / "checkpoint").write_bytes(forged)
    assert any(each["where"].endswith("/checkpoint") and "it is not signed by" in each["what"] for each in log.found())


def test_an_old_checkpoint_put_back_is_named(log: SignedLog) -> None:
    (log.published.folder / "checkpoint").write_bytes(log.kept[0])
    (found,) = log.found()
    assert "an old one was put back" in found["what"]


def test_a_changed_leaf_in_the_published_tiles_is_found(log: SignedLog) -> None:
    tile = log.published.folder / "tile" / "0" / "000"
    raw = bytearray(tile.read_bytes())
    raw[10 * 32] ^= 1
    tile.write_bytes(raw)
    (found,) = log.found()
    assert found["where"] == log.place(11)


# the notary


def test_the_notary_signs_nothing_over_proofs_that_were_rolled_back(log: SignedLog) -> None:
    log.as_superuser("delete from proofs.leaves where index >= 100", "delete from proofs.checkpoints where size > 100")
    with pytest.raises(WillNotSign, match="rolled back"):
        log.notary().once()


def test_nor_over_rewritten_ones(log: SignedLog) -> None:
    log.as_superuser(edit(EDITED))
    rewrite_the_proofs(log, SigningKey.fresh(log.key.public.name))
    with pytest.raises(WillNotSign):
        log.notary().once()


def test_nor_over_a_log_that_changed_between_reading_and_signing(
    log: SignedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(log.database)
    try:
        Life(office).asks_for("changedmeanwhile")
    finally:
        office.close()
    before = log.published.note()
    read_again = Keeping._read_again

    def changed(keeping: Keeping) -> Frontier:
        log.as_superuser(edit(log.length()))
        return read_again(keeping)

    monkeypatch.setattr(Keeping, "_read_again", changed)
    with pytest.raises(WillNotSign, match="not those that were read first"):
        log.notary().once()
    assert log.published.note() == log.memory.read_bytes() == before


def test_nothing_older_is_published_over_what_is_there(log: SignedLog) -> None:
    found = Checkpoint.opened(log.kept[-1], log.key.public)
    later = log.key.sign(found._replace(size=found.size + 1).text)
    with psycopg.connect(log.database.url("notary"), autocommit=True) as conn:
        keeping = Keeping(conn, log.key, log.published, log.memory)
        (log.published.folder / "checkpoint").write_bytes(later)
        with pytest.raises(WillNotSign, match="is published"):
            keeping._publish()
    assert log.published.note() == later


def test_of_two_notaries_one_waits(log: SignedLog) -> None:
    stop = threading.Event()
    with psycopg.connect(log.database.url("notary"), autocommit=True) as conn:
        assert has_the_lock(conn, stop)
        second = threading.Thread(target=log.notary().run, args=(stop,))
        second.start()
        office = Office(log.database)
        try:
            Life(office).asks_for("whilewaiting")
        finally:
            office.close()
        second.join(1.0)
        assert log.published.note() == log.kept[-1]
    deadline = time.monotonic() + 30
    while log.published.leaves() < log.length():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stop.set()
    second.join()
    assert log.found() == []


def test_a_notary_that_refuses_says_why_and_verify_repeats_it(log: SignedLog) -> None:
    log.as_superuser("delete from proofs.leaves where index >= 100", "delete from proofs.checkpoints where size > 100")
    stop = threading.Event()
    running = threading.Thread(target=log.notary().run, args=(stop,))
    running.start()
    deadline = time.monotonic() + 30
    while not refusal_beside(log.memory).exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stop.set()
    running.join()
    put(secrets_folder(log.folder) / "log.key", log.key.text.encode())
    settings = Settings.load(data=log.folder, IMPRIMATUR_READER_URL=log.database.url("reader"))
    assert any(each["where"] == "the notary" for each in verify_installation(settings)["findings"])


def test_what_was_signed_and_not_yet_published_when_it_was_killed_is_published_next(log: SignedLog) -> None:
    published, newest = log.published.folder, log.published.note()
    shutil.rmtree(published)
    log.notary().once()
    assert log.published.note() == newest
    assert [path for path, _ in log.published.notes()][-1].name == "checkpoint"
    assert log.published.tree().root(log.length()) == Checkpoint.opened(log.kept[-1], log.key.public).root
    assert log.published.leaves() == log.length()


def test_what_it_remembers_outlives_the_tables(log: SignedLog) -> None:
    """The memory beside the key alone stops it, where database and folder were both set back together."""
    log.as_superuser("delete from proofs.leaves", "delete from proofs.nodes", "delete from proofs.checkpoints")
    shutil.rmtree(log.published.folder)
    with pytest.raises(WillNotSign, match="rolled back"):
        log.notary().once()


# the database's guards


@pytest.mark.parametrize("role", ["recorder", "projector", "keeper", "notary", "reader", "migrator", "superuser"])
@pytest.mark.parametrize("table", ["leaves", "nodes", "checkpoints"])
def test_no_role_changes_or_removes_a_proof(original: SignedLog, role: str, table: str) -> None:
    database = original.database
    url = database.superuser if role == "superuser" else database.url(role)
    for statement in ("delete from proofs.{}", "truncate proofs.{}"):
        with (
            psycopg.connect(url, autocommit=True) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(statement.format(table).encode())


def test_the_notary_reads_events_and_records_none(original: SignedLog) -> None:
    with psycopg.connect(original.database.url("notary"), autocommit=True) as conn:
        assert conn.execute("select count(*) from ledger.events").fetchone() == (original.length(),)
        for statement in (
            "insert into ledger.events select * from ledger.events",
            "select ledger.hold_still()",
            "select * from keys.wrapping",
            "select * from ledger.commands",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())


def test_only_the_notary_adds_proofs(original: SignedLog) -> None:
    for role in ("recorder", "projector", "keeper", "reader"):
        with (
            psycopg.connect(original.database.url(role), autocommit=True) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute("insert into proofs.nodes values (1, 99, sha256('x'))")


def test_migrating_again_leaves_every_proof(original: SignedLog) -> None:
    migrate(original.database.superuser, PASSWORDS)
    assert original.found() == []


def test_an_empty_log_is_in_order(server: EmbeddedPostgreSQL, tmp_path: Path) -> None:
    with fresh_database(server) as database:
        log = SignedLog(database, tmp_path, SigningKey.fresh(), [])
        assert log.notary().once() is None
        assert log.found() == []


def test_a_separator_moved_into_a_column_does_not_hide_that_it_moved(log: SignedLog) -> None:
    log.as_superuser(
        f"""update ledger.events set role = role || E'\\x1f' || place, place = '' where notification_id = {EDITED}"""
    )
    assert log.place(EDITED) in [each["where"] for each in log.found()]
