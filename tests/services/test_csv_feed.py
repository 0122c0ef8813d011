"""Whole files as HR exports them: encodings, drifting headers, broken rows; and what the directory makes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from domain.facts import ActorKind, Channel, Malformed
from domain.hr_feed_messages import stream_of
from domain.policy import parse_policy
from services.api.app import app_of
from services.api.hr_files import HR_FILES
from services.desk import Desk
from services.hr import office as hr_office
from services.hr.csv_feed import COLUMNS, LARGEST_FEED_BYTES, Feed, read_feed
from services.hr.office import Terms, take_file
from services.settings import Settings
from tests.system import POLICY, STAFF, Office

THE_POLICY = parse_policy(POLICY.read_text(encoding="utf-8"), "mmrls.toml")
STAFF_TEXT = STAFF.read_text(encoding="utf-8")
HEADER = ",".join(COLUMNS)
ROW = "p-1,José Ñuñez,jose@example.org,Library Clerk,durant,p-ed,true,2024-03-01,,Mon-Fri 09:00-17:00"


def read(*rows: str, header: str = HEADER) -> Feed:
    return read_feed("\n".join([header, *rows, ""]).encode(), THE_POLICY)


def only_problem(*rows: str) -> str:
    (problem,) = read(*rows).problems
    return str(problem)


# the file


@pytest.mark.parametrize(
    ("written", "told"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-32", "utf-32"), ("cp1252", "cp1252")],
)
def test_every_usual_encoding_reads_the_same(written: str, told: str) -> None:
    feed = read_feed(f"{HEADER}\r\n{ROW}\r\n".encode(written), THE_POLICY)
    assert (feed.encoding, feed.people[0].name) == (told, "José Ñuñez")


@pytest.mark.parametrize(
    ("raw", "because"),
    [
        (f"{HEADER}\n".encode() + b"p-1,\x81\x8d", "neither UTF-8 nor Windows-1252"),
        (f"{HEADER}\n{ROW}\n".encode("utf-16-le"), "NUL"),
        (b"\xff\xfe\x00", "marked as utf-16, but is not"),
        (f"{HEADER}\np-1,A\x00B".encode(), "NUL"),
        (f"{HEADER}\n".encode() + b'p-1,"open', "not CSV"),
        (b"", "missing id"),
        (f"{HEADER}\n".encode(), "it names nobody"),
        (b"x" * 20_000_001, "too many"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused(raw: bytes, because: str) -> None:
    with pytest.raises(Malformed, match=because):
        read_feed(raw, THE_POLICY)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.upper(),
        " ID , Name ,Work E-Mail, POSITION,Branch,Supervisor,Active,Start,End,Hours",
        "Employee Number,Full Name,E-mail,Job Title,Department,Manager ID,Status,Hire Date,Last Day,Work Hours",
        HEADER.replace(",", ";"),
        HEADER.replace(",", "\t"),
    ],
)
def test_headers_drift(header: str) -> None:
    mark = next((each for each in ";\t" if each in header), ",")
    assert read(ROW.replace(",", mark), header=header).people == read(ROW).people


def test_more_columns_and_another_order_change_nothing() -> None:
    header, row = f"shoe_size,{HEADER}", f"44,{ROW}"
    assert read(row, header=header).people == read(ROW).people


@pytest.mark.parametrize(
    ("header", "because"),
    [(HEADER.replace(",end", ""), "missing end"), (HEADER.replace("end", "Start Date"), "missing end")],
)
def test_a_column_that_is_gone_is_not_read_as_empty(header: str, because: str) -> None:
    with pytest.raises(Malformed, match=because):
        read(header=header)


def test_a_column_under_two_names_is_refused() -> None:
    with pytest.raises(Malformed, match="start is there twice"):
        read(header=f"{HEADER},Hire Date")


# rows


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("p-1", "", "line 2, id: is empty"),
        ("p-1", "p 1", "line 2, id"),
        ("true", "maybe", "line 2, active: maybe is neither yes nor no"),
        ("2024-03-01", "03/01/2024", "line 2, start: 03/01/2024 is no day"),
        ("2024-03-01", "0", "line 2, start: 0 is no day"),
        ("2024-03-01", "2024-02-30", "line 2, start: Input should be a valid date"),
        ("2024-03-01,", "2024-03-01,2024-02-29", "line 2, end: 2024-02-29 is before the start"),
        ("durant", "", "line 2, branch: is empty"),
        ("p-ed", "p-1", "line 2, supervisor: p-1 is their own supervisor"),
        ("Library Clerk", "Clerk, Library", "line 2, row: 11 fields under 10 columns"),
        (",Mon-Fri 09:00-17:00", "", "line 2, row: 9 fields under 10 columns"),
    ],
)
def test_a_broken_row_is_named_by_line_and_column_and_kept(was: str, now: str, problem: str) -> None:
    row = ROW.replace(was, now, 1)
    assert problem in "\n".join(map(str, read(row).problems))
    feed = read(row)
    assert (feed.people, len(feed.held)) == ((), 1)
    assert feed.held[0].row["name"] == "José Ñuñez"


def test_a_name_of_201_characters_is_broken_and_kept_as_far_as_it_goes() -> None:
    feed = read(ROW.replace("José Ñuñez", "x" * 201))
    assert [str(each).partition(";")[0] for each in feed.problems] == [
        "line 2, name: String should have at most 200 characters"
    ]
    assert feed.held[0].row["name"] == "x" * 200


def test_the_rows_beside_a_broken_one_are_read() -> None:
    feed = read(ROW.replace("p-1", "p-first"), ROW.replace("p-1", ""), ROW.replace("p-1", "p-last"))
    assert [each.line for each in feed.problems] == [3]
    assert [each.id for each in feed.people] == ["p-first", "p-last"]


def test_all_that_is_wrong_with_a_row_is_named() -> None:
    problems = read(ROW.replace("jose@example.org", "").replace("true", "maybe").replace("2024-03-01", "0")).problems
    assert [each.column for each in problems] == ["work_email", "active", "start"]


def test_an_end_on_the_day_of_the_start_is_in_order() -> None:
    assert read(ROW.replace("2024-03-01,", "2024-03-01,2024-03-01")).problems == ()


def test_a_row_over_several_lines_is_named_by_its_first() -> None:
    over_two = ROW.replace("p-1", "p-first").replace("José Ñuñez", '"Two\nLines"')
    assert [(each.line, each.column) for each in read(over_two, ROW.replace("true", "maybe")).problems] == [
        (2, "name"), (4, "active")
    ]  # fmt: skip


def test_blank_lines_are_no_rows() -> None:
    assert read("", ROW, "").people == read(ROW).people


def test_the_example_feed_is_read_whole() -> None:
    feed = read_feed(STAFF.read_bytes(), THE_POLICY)
    assert (feed.problems, feed.unknown) == ((), ())
    assert len(feed.people) == STAFF_TEXT.count("\n") - 1


def test_of_two_rows_for_one_person_neither_is_applied() -> None:
    feed = read(ROW, ROW.replace("durant", "winona"), ROW.replace("p-1", "p-2"))
    assert [each.id for each in feed.people] == ["p-2"]
    assert [str(each).partition(";")[0] for each in feed.problems] == [
        "line 2, id: p-1 stands at line 3 too", "line 3, id: p-1 stands at line 2 too"
    ]  # fmt: skip
    assert [each.item for each in feed.held] == ["row p-1"]


def test_nor_where_the_second_of_them_is_broken_in_another_way() -> None:
    feed = read(ROW, ROW.replace("true", "maybe"))
    assert [(each.line, each.column) for each in feed.problems] == [(2, "id"), (3, "id")]
    assert feed.people == ()


def test_an_unknown_branch_or_position_is_taken_as_sent_and_told() -> None:
    feed = read(ROW.replace("durant", "Atlantis").replace("Library Clerk", "Wizard"))
    assert (feed.people[0].branch, feed.people[0].position, feed.problems) == ("Atlantis", "Wizard", ())
    assert [each.column for each in feed.unknown] == ["branch", "position"]


def test_a_branch_may_be_given_by_its_name() -> None:
    assert read(ROW.replace("durant", "DURANT  Library")).people[0].branch == "durant"


# what the directory makes of it


def taken(office: Office, text: str, **terms: Any) -> dict[str, Any]:
    return take_file(office.ledger, text.encode(), Terms(**terms))


def position(office: Office) -> int:
    return office.ledger.recorder.max_notification_id() or 0


def without(text: str, *people: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if line.split(",")[0] not in people)


def test_a_dry_run_shows_the_difference_and_records_nothing(office: Office) -> None:
    before = position(office)
    told = taken(office, without(STAFF_TEXT, "p-hq-clerk"), dry_run=True)
    assert told["difference"] == [{"what": "left", "person": "p-hq-clerk", "more": ""}]
    assert position(office) == before


def test_the_difference_is_applied_once_and_taken_back_by_the_next_file(office: Office) -> None:
    short = without(STAFF_TEXT, "p-hq-clerk")
    assert [each["what"] for each in taken(office, short)["difference"]] == ["left"]
    before = position(office)
    assert taken(office, short)["difference"] == []
    assert position(office) == before
    assert [each["what"] for each in taken(office, STAFF_TEXT)["difference"]] == ["returned"]


def test_a_file_that_was_cut_off_is_refused_and_says_what_would_pass(office: Office) -> None:
    cut = "".join(STAFF_TEXT.splitlines(keepends=True)[:20])
    told = taken(office, cut)
    assert not told["applied"]
    assert "more than 10 percent" in told["refused"]["because"]
    assert "--accept-leavers" in told["refused"]["remedy"]
    assert all(each.active for each in office.ledger.library().people()[:5])


def test_broken_rows_wait_are_shown_and_are_tried_again(office: Office) -> None:
    broken = STAFF_TEXT.replace("p-hq-clerk,Headquarters Clerk", "p-hq-clerk,", 1)
    assert not taken(office, broken)["applied"]
    assert taken(office, broken, skip_broken=True)["applied"]
    (waiting,) = hr_office.waiting(office.ledger)["quarantine"]
    assert (waiting["item"], waiting["problem"]) == ("row p-hq-clerk", "name: is empty")
    assert office.ledger.library().is_active("p-hq-clerk")
    assert taken(office, STAFF_TEXT)["applied"]
    assert hr_office.waiting(office.ledger)["quarantine"] == []


def test_a_file_of_another_system_ends_nobody_of_the_staff_file(office: Office) -> None:
    hr_office.register(office.ledger, "paychex")
    told = taken(office, f"{HEADER}\n{ROW}\n", system="paychex")
    assert told["difference"] == [{"what": "joined", "person": "p-1", "more": ""}]
    assert [each["people"] for each in hr_office.systems(office.ledger) if each["system"] == "paychex"] == [1]


def test_a_file_by_windows_is_the_same_feed(office: Office, tmp_path: Path) -> None:
    before = position(office)
    told = take_file(office.ledger, STAFF_TEXT.encode("utf-16"), Terms(dry_run=True))
    assert (told["difference"], told["encoding"], position(office)) == ([], "utf-16", before)


# over HTTP, by an HR system's own token


class Hr(NamedTuple):
    office: Office
    system: str
    http: httpx.AsyncClient

    async def sends(self, *people: str, key: str = "", **terms: str) -> httpx.Response:
        """Each person by their id alone, or a row as it stands."""
        rows = [each if "," in each else row_of(each) for each in people]
        headers = {"Content-Type": "text/csv"} | ({"Idempotency-Key": key} if key else {})
        return await self.http.post(HR_FILES, params=terms, content="\n".join([HEADER, *rows, ""]), headers=headers)

    def people(self) -> list[str]:
        library = self.office.ledger.library()
        return [each.id for each in library.people() if library.source_of(each.id) == self.system and each.active]

    def id(self, name: str) -> str:
        return f"{self.system}-{name}"


def row_of(person: str) -> str:
    return ROW.replace("p-1,", f"{person},", 1).replace("jose@", f"{person}@", 1)


NUMBERS = count(1)


@pytest.fixture
async def hr(office: Office, tmp_path: Path) -> AsyncIterator[Hr]:
    desk = Desk(Settings(data=tmp_path), office.clock)
    vars(desk)["ledger"] = office.ledger
    system = f"files{next(NUMBERS)}"
    token = hr_office.register(office.ledger, system)["token"]
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app=app_of(desk.settings, desk))
    async with httpx.AsyncClient(transport=transport, base_url="http://library.example", headers=headers) as http:
        yield Hr(office, system, http)


def differences(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(each["what"], each["person"]) for each in answer.json()["difference"]]


async def test_a_file_over_http_is_the_same_feed_with_the_system_as_the_actor(hr: Hr) -> None:
    one, two = hr.id("one"), hr.id("two")
    before = position(hr.office)
    rehearsed = await hr.sends(one, two, dry_run="true")
    assert differences(rehearsed) == [("joined", one), ("joined", two)]
    assert (rehearsed.json()["applied"], position(hr.office)) == (False, before)

    sent = await hr.sends(one, two)
    assert (differences(sent), sent.json()["applied"]) == ([("joined", one), ("joined", two)], True)
    assert hr.people() == [one, two]
    _, recorded = hr.office.ledger.read_on(stream_of(hr.system))
    by_file = [each.envelope for each in recorded if each.envelope.kind != "hr_feed.HrSystemRegistered"]
    who = {(each.actor.kind, each.actor.id, each.channel) for each in by_file}
    assert who == {(ActorKind.HR_SYSTEM, hr.system, Channel.HR_FEED)}


async def test_the_same_file_again_changes_nothing(hr: Hr) -> None:
    await hr.sends(hr.id("one"))
    before = position(hr.office)
    assert differences(await hr.sends(hr.id("one"))) == []
    assert position(hr.office) == before


async def test_a_key_gets_its_first_answer_again_and_no_other_file(hr: Hr) -> None:
    first = await hr.sends(hr.id("one"), key="monday")
    before = position(hr.office)
    assert (await hr.sends(hr.id("one"), key="monday")).json()["recorded"] == first.json()["recorded"]
    other = await hr.sends(hr.id("two"), key="monday")
    assert (other.status_code, position(hr.office), hr.people()) == (409, before, [hr.id("one")])


async def test_a_cut_off_file_over_http_stops_and_asks(hr: Hr) -> None:
    everyone = [hr.id(str(nth)) for nth in range(10)]
    await hr.sends(*everyone)
    assert differences(await hr.sends(*everyone[1:])) == [("left", everyone[0])]
    stopped = await hr.sends(*everyone[3:])
    assert (stopped.status_code, stopped.json()["clauses"]) == (409, ["PR-4"])
    assert "2 of 9 people are missing" in stopped.json()["because"]
    assert hr.people() == everyone[1:]
    assert len(differences(await hr.sends(*everyone[3:], accept_leavers="true"))) == 2
    assert hr.people() == everyone[3:]


async def test_broken_rows_over_http_apply_nothing_or_wait(hr: Hr) -> None:
    broken = row_of(hr.id("two")).replace(",true,", ",perhaps,")
    before = position(hr.office)
    told = await hr.sends(hr.id("one"), broken)
    assert (told.status_code, told.json()["field"], position(hr.office)) == (422, "rows", before)
    assert "nothing was applied: line 3, active: perhaps" in told.json()["because"]
    assert "skip_broken=true" in told.json()["remedy"]
    assert differences(await hr.sends(hr.id("one"), broken, skip_broken="true")) == [("joined", hr.id("one"))]
    waiting = hr_office.waiting(hr.office.ledger)["quarantine"]
    assert [each["item"] for each in waiting if each["system"] == hr.system] == [f"row {hr.id('two')}"]


async def test_an_older_file_is_refused(hr: Hr) -> None:
    newest, older = "2026-03-02T02:00:00-06:00", "2026-03-01T02:00:00-06:00"
    assert differences(await hr.sends(hr.id("one"), as_of=newest)) == [("joined", hr.id("one"))]
    told = await hr.sends(hr.id("one"), hr.id("two"), as_of=older)
    assert (told.status_code, told.json()["remedy"]) == (409, "the newest file")


async def test_nobody_of_another_feed_is_shown_or_ended(hr: Hr) -> None:
    nameless = ROW.replace("p-1,", ",", 1)
    await hr.sends(hr.id("one"), hr.id("two"))
    told = await hr.sends(hr.id("one"), nameless, "p-hq-clerk", skip_broken="true")
    assert (differences(told), told.json()["absent"]) == ([], [hr.id("two")])
    library = hr.office.ledger.library()
    assert (library.source_of("p-hq-clerk"), library.is_active("p-hq-clerk")) == ("staff-file", True)


@pytest.mark.parametrize("token", ["", "Bearer nobody-s", "Basic aHI6aHI="])
async def test_only_a_registered_system_s_token_sends_a_file(hr: Hr, token: str) -> None:
    before = position(hr.office)
    hr.http.headers["Authorization"] = token
    told = await hr.sends(hr.id("one"))
    assert (told.status_code, told.headers["www-authenticate"], position(hr.office)) == (401, "Bearer", before)
    assert "hr register" in told.json()["remedy"]


async def test_a_revoked_token_sends_no_file(hr: Hr) -> None:
    hr_office.revoke(hr.office.ledger, hr.system)
    assert (await hr.sends(hr.id("one"))).status_code == 401
    assert hr.people() == []


async def test_a_file_that_is_too_large_or_none_is_refused_with_what_would_pass(hr: Hr) -> None:
    before = position(hr.office)
    large = await hr.http.post(HR_FILES, content=b"", headers={"Content-Length": str(LARGEST_FEED_BYTES + 1)})
    assert (large.status_code, large.json()["remedy"]) == (413, f"at most {LARGEST_FEED_BYTES} bytes")
    # as an export with a column of notes has: larger than any other body that the API takes
    rows = [f"{row_of(hr.id(str(nth)))},{'x' * 2_000}" for nth in range(600)]
    over_a_megabyte = await hr.http.post(
        HR_FILES, params={"dry_run": "true"}, content="\n".join([f"{HEADER},notes", *rows, ""]),
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    assert over_a_megabyte.status_code == 200
    form = await hr.http.post(HR_FILES, files={"file": ("people.csv", HEADER)})
    assert (form.status_code, form.json()["field"]) == (422, "body")
    bare = await hr.http.post(HR_FILES, content=b"id,name\np-1,One\n")
    assert (bare.status_code, bare.json()["field"]) == (422, "header")
    term = await hr.sends(hr.id("one"), as_of="yesterday")
    assert (term.status_code, term.json()["field"]) == (422, "as_of")
    assert position(hr.office) == before
