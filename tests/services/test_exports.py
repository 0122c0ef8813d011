"""What is taken away says what the log says, in every format; what is sealed stays sealed; what dangles is found."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.account_creation_messages import RefuseAccount
from projections.audit_trail import AuditTrail
from services.audit import ocel
from services.audit.exports import COLUMNS, as_cloud_event, cell, cloud_events, comma_separated, json_lines
from services.audit.ocel_checks import dangling
from services.audit.reading import newest, reading
from services.audit.selection import Selection, how_many, selected
from services.audit.story import Line, as_html, put_together, story_of, write_pdf
from services.projector import rebuild
from tests.projections.history import REQUESTER, Life, a_life
from tests.services.auditing import live
from tests.system import Database, sealed

CANARY = "Q0FOQVJZIG5vYm9keSBtYXkgc2VlIHRoaXM="


class Taken:
    def __init__(self, life: Life, database: Database) -> None:
        self.life, self.database = life, database
        self.case = life.asks_for("exported.page")
        life.approves(self.case, by=REQUESTER)
        secret = sealed().model_copy(update={"ciphertext": CANARY})
        life.says("p-ed", RefuseAccount(content=life.content(self.case), reason=secret), self.case)
        rebuild(database.url("projector"), AuditTrail, "")

    def events(self, **asked: Any) -> list[dict[str, Any]]:
        with reading(self.database.url("reader")) as conn:
            return [*selected(conn, Selection(**asked))]


@pytest.fixture(scope="module")
def taken(database: Database) -> Iterator[Taken]:
    with a_life(database) as life:
        live(life, steps=120, seed=13)
        yield Taken(life, database)


# -- the trail


def test_nothing_asked_for_is_everything_in_log_order(taken: Taken) -> None:
    with reading(taken.database.url("reader")) as conn:
        assert [each["log_position"] for each in taken.events()] == list(range(1, newest(conn) + 1))
        assert how_many(conn, Selection()) == (newest(conn), newest(conn))


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"person": REQUESTER}, lambda each: REQUESTER in each["persons"]),
        ({"account": "account:facebook:alwaysthere"}, lambda each: each["account"] == "account:facebook:alwaysthere"),
        ({"branch": "goodman"}, lambda each: "goodman" in (each["branch"], each["place"])),
        ({"clause": "PR-7"}, lambda each: "PR-7" in each["clauses"]),
        ({"channel": "hr_feed"}, lambda each: each["channel"] == "hr_feed"),
        ({"refused": True}, lambda each: each["refused"]),
        ({"refused": False, "clause": "PR-1"}, lambda each: not each["refused"] and "PR-1" in each["clauses"]),
    ],
)
def test_a_filter_gives_all_that_is_so_and_nothing_else(
    taken: Taken, asked: dict[str, Any], holds: Callable[[dict[str, Any]], bool]
) -> None:
    everything, found = taken.events(), taken.events(**asked)
    assert found == [each for each in everything if holds(each)]
    assert 0 < len(found) < len(everything)


def test_a_period_is_half_open(taken: Taken) -> None:
    events = taken.events()
    since, until = (datetime.fromisoformat(events[nth]["at"]) for nth in (len(events) // 3, -1))
    found = taken.events(since=since, until=until)
    assert found == [each for each in events if since <= datetime.fromisoformat(each["at"]) < until]
    assert found


def test_a_branch_is_where_a_case_is_about_throughout(taken: Taken) -> None:
    told = [each for each in taken.events(case=taken.case) if not each["kind"].startswith("waiting.")]
    assert {each["branch"] for each in told} == {"durant"}


# -- the formats


def test_json_lines_say_each_event_whole(taken: Taken, tmp_path: Path) -> None:
    json_lines(taken.events(), tmp_path / "events.jsonl")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == taken.events()
    assert {"actor", "role", "proven_by", "policy", "read_up_to", "fact", "command"} <= json.loads(lines[-1]).keys()


def test_every_column_of_csv_is_a_field_of_each_event(taken: Taken, tmp_path: Path) -> None:
    comma_separated(taken.events(), tmp_path / "events.csv")
    with (tmp_path / "events.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    events = taken.events()
    assert set(COLUMNS) | {"v"} == events[0].keys()
    assert [row["event_id"] for row in rows] == [each["event_id"] for each in events]
    assert json.loads(rows[-1]["fact"]) == events[-1]["fact"]
    assert rows[-1]["refused"] == "no"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_cell_of_csv_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_cloud_events_have_what_the_standard_asks(taken: Taken, tmp_path: Path) -> None:
    cloud_events(taken.events(), tmp_path / "events.jsonl")
    found = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    names = {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data"}
    assert {frozenset(each) for each in found} == {frozenset(names)}
    assert {each["specversion"] for each in found} == {"1.0"}
    assert len({(each["source"], each["id"]) for each in found}) == len(found)
    assert all(datetime.fromisoformat(each["time"]).tzinfo for each in found)
    assert as_cloud_event(taken.events()[0]) == found[0]


def test_nothing_sealed_and_no_credential_is_in_any_of_them(taken: Taken, tmp_path: Path) -> None:
    events = taken.events()
    for name, write in (("a", json_lines), ("b", comma_separated), ("c", cloud_events), ("d", ocel.as_json)):
        write(events, tmp_path / name)
    ocel.sqlite(events, tmp_path / "e")
    (tmp_path / "f").write_text(as_html(story(taken)))
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes(), file
        assert b"eyJ" not in file.read_bytes(), f"a credential in {file}"


# -- OCEL


def test_the_log_as_ocel_holds_together_and_says_every_event(taken: Taken, tmp_path: Path) -> None:
    ocel.sqlite(taken.events(), tmp_path / "log.sqlite")
    ocel.as_json(taken.events(), tmp_path / "log.json")
    assert dangling(tmp_path / "log.sqlite") == dangling(tmp_path / "log.json") == []
    # whatever the auditor calls it
    shutil.copy(tmp_path / "log.json", tmp_path / "log")
    assert dangling(tmp_path / "log") == []
    with sqlite3.connect(tmp_path / "log.sqlite") as read:
        assert read.execute("pragma foreign_key_check").fetchall() == []
        assert read.execute("select count(*) from event").fetchone() == (len(taken.events()),)
        query = "select ocel_qualifier, ocel_object_id from event_object where ocel_event_id = ?"
        opened = next(each for each in taken.events() if each["kind"] == "account_creation.AccountOpened")
        related = set(read.execute(query, (opened["event_id"],)))
    read.close()
    assert {
        ("of", opened["case_id"]), ("concerns", opened["account"]), ("done by", f"person:{opened['actor']}"),
        ("under", f"policy_version:{opened['policy']}"), ("concerns", f"branch:{opened['branch']}"),
    } <= related  # fmt: skip


PLANTED = {
    "an event that is not there": (
        "insert into event_object values ('nothing', (select ocel_id from object limit 1), 'of')",
        "event_object names the event nothing, which is not there",
    ),
    "an object that is not there": (
        "insert into event_object values ((select ocel_id from event limit 1), 'nothing', 'of')",
        "event_object names the object nothing, which is not there",
    ),
    "a link to nothing": (
        "insert into object_object values ((select ocel_id from object limit 1), 'nothing', 'about')",
        "object_object names the object nothing, which is not there",
    ),
    "a link from nothing": (
        "insert into object_object values ('nothing', (select ocel_id from object limit 1), 'about')",
        "object_object names the object nothing, which is not there",
    ),
    "a type that is not there": (
        "insert into object values ('odd', 'nothing')", "the object odd is of the type nothing, which is not there"
    ),
    "an object of which nothing is told": (
        "insert into object values ('person:odd', 'person')", "the object person:odd is not in \"object_person\""
    ),
    "something told of no object": (
        "insert into object_person values ('odd', '1970', null, 'odd')",
        '"object_person" names odd, which is no object of it',
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_what_dangles_in_sqlite_is_named(taken: Taken, tmp_path: Path, planted: str) -> None:
    statement, named = PLANTED[planted]
    ocel.sqlite(taken.events(case=taken.case), tmp_path / "log.sqlite")
    with sqlite3.connect(tmp_path / "log.sqlite") as out:
        out.execute(statement)
    out.close()
    assert dangling(tmp_path / "log.sqlite") == [named]


def test_an_event_that_is_related_to_nothing_is_named(taken: Taken, tmp_path: Path) -> None:
    ocel.sqlite(taken.events(case=taken.case), tmp_path / "log.sqlite")
    with sqlite3.connect(tmp_path / "log.sqlite") as out:
        (first,) = out.execute("select ocel_id from event limit 1").fetchone()
        out.execute("delete from event_object where ocel_event_id = ?", (first,))
    out.close()
    assert dangling(tmp_path / "log.sqlite") == [f"the event {first} is related to nothing"]


def test_what_dangles_in_json_is_named(taken: Taken, tmp_path: Path) -> None:
    file = tmp_path / "log.json"
    ocel.as_json(taken.events(case=taken.case), file)
    whole = json.loads(file.read_text())
    first = whole["events"][0]
    first["relationships"].append({"objectId": "nothing", "qualifier": "of"})
    first["attributes"].append({"name": "odd", "value": "1"})
    whole["objects"].append(whole["objects"][0] | {"type": "odd"})
    file.write_text(json.dumps(whole))
    assert dangling(file) == [
        f"the object {whole['objects'][0]['id']} is there 2 times",
        f"{whole['objects'][0]['id']} is of the type odd, which is not declared",
        f"{first['id']} has an attribute odd that its type does not declare",
        f"{first['id']} is related to nothing, which is not there",
    ]  # fmt: skip


# -- the story


def story(taken: Taken) -> Any:
    library = taken.life.office.ledger.library()
    events = taken.events(case=taken.case)
    return story_of(taken.case, "refused", events, library, datetime(2026, 4, 1, tzinfo=UTC))


def test_a_case_is_told_in_the_librarys_time_by_the_names_of_its_people(taken: Taken) -> None:
    told = story(taken)
    assert told.title == "Account creation: exported.page on facebook"
    assert told.lead.startswith("Refused. Begun on ")
    assert told.lead.endswith("2 steps, 1 refused attempt.")
    asked, attempt, refused = told.lines
    assert "exported.page on facebook" in asked.what
    assert (asked.refused, attempt.refused, refused.refused) == (False, True, False)
    assert (asked.who, attempt.who, refused.who) == ("Branch Manager, Durant",) * 2 + ("Executive Director",)
    assert "Branch Manager, Durant asked for this or edited it" in attempt.what
    assert "approve account" in attempt.what
    assert [id_ for id_, _ in told.clauses] == ["PR-1", "PR-2", "PR-7"] or "PR-1" in dict(told.clauses)


def test_what_one_person_does_in_a_minute_is_one_line() -> None:
    lines = [Line("10:00", f"The task {nth} was done", "her", "PR-2", False) for nth in (1, 2)]
    other = lines[0]._replace(who="him")
    refused = lines[0]._replace(refused=True)
    assert [*put_together([*lines, other, refused, refused])] == [
        lines[0]._replace(what="The task 1 was done; the task 2 was done"), other, refused, refused,
    ]  # fmt: skip


def test_nothing_in_a_story_is_markup_that_someone_sent(taken: Taken) -> None:
    told = story(taken)
    evil = told._replace(title="<script>alert(1)</script> & <b>", lines=(told.lines[0]._replace(what="<i>x</i>"),))
    assert "<script>alert" not in as_html(evil)
    assert "<i>x</i>" not in as_html(evil)
    assert "&lt;i&gt;x&lt;/i&gt;" in as_html(evil)


def test_a_short_case_is_one_page_of_pdf_and_a_long_one_goes_on(taken: Taken, tmp_path: Path) -> None:
    told = story(taken)
    write_pdf(told, tmp_path / "short.pdf")
    write_pdf(told._replace(lines=told.lines * 40, title="<b>&"), tmp_path / "long.pdf")
    short, long = ((tmp_path / name).read_bytes() for name in ("short.pdf", "long.pdf"))
    assert short.startswith(b"%PDF-")
    assert pages(short) == 1
    assert pages(long) > 2


def pages(pdf: bytes) -> int:
    return pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ")
