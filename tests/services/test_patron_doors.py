"""The patron's own door and what staff do behind it, on the running system; nothing personal stands in clear."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from tests.services.running import RunningSystem, running_system
from tests.services.test_pictures import with_place

MANAGER, STAFF, CLERK, COORDINATOR = "p-bm-durant", "p-bs-durant-1", "p-hq-clerk", "p-mac"
PRINT = "print:flyer"
# what a patron says: markers that must not be found anywhere in clear
NAME, EMAIL, WORDS = "Marker of a name", "marker@example.org", "Marker of what they say"
IN_CLEAR = ("Marker of a name", "marker@example.org", "Marker of what they say")


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


@pytest.fixture(scope="module")
def door(system: RunningSystem) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=system.url, timeout=60) as client:
        yield client


def does(system: RunningSystem, case: str, command: str, fields: dict[str, Any], by: str) -> dict[str, Any]:
    answer: dict[str, Any] = system.json("act", case, command, "-", "--as", by, given=fields)
    assert "recorded" in answer, answer
    return answer


def gives_consent(door: httpx.Client, **more: Any) -> tuple[str, str]:
    """The consent's case, and the link to its receipt."""
    said = {"form": "adult", "place": "durant", "name": NAME, "email": EMAIL, "note": WORDS} | more
    told = door.post("/api/v1/patron/consents", json=said)
    assert told.status_code == 202, told.text
    link = told.json()["status"]
    return f"consent-{link.split('/')[-2]}", link


def asks_to_stop(door: httpx.Client, **more: Any) -> tuple[str, str]:
    said = {"place": "durant", "name": NAME, "email": EMAIL, "what": WORDS} | more
    told = door.post("/api/v1/patron/revocations", json=said)
    assert told.status_code == 202, told.text
    link = told.json()["status"]
    return f"revocation-{link.split('/')[-2]}", link


@pytest.fixture(scope="module")
def lived(system: RunningSystem, door: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """From a consent by the form to the answer by the link, with what was answered on the way."""
    consent, receipt = gives_consent(door)
    does(system, consent, "ConfirmConsent", {"shown": "contact_on_file"}, MANAGER)
    (patron,) = {each["patron"] for each in found(system) if consent in each["on_record"]}
    picture = a_picture(system, patron, tmp_path_factory.mktemp("pictures"))
    does(system, picture, "GiveBasis", {"patron": patron, "consent": consent}, STAFF)
    use = does(system, "uses", "RecordUse", {"used": picture, "target": PRINT}, STAFF)
    before = system.json("consent", "may-use", picture, "--account", PRINT)
    shown_at = case_shown(system, "uses")
    revocation, status = asks_to_stop(door)
    asked = door.get(status).json()
    check = {"checked": "contact_on_file", "on_record": patron, "consents": [consent]}
    does(system, revocation, "CheckIdentity", check, CLERK)
    does(system, revocation, "AcceptRevocation", {}, CLERK)
    accepted = door.get(status).json()
    refused = system.json("act", "uses", "RecordUse", "-", "--as", STAFF, given={"used": picture, "target": PRINT})
    removal = system.json("case", "show", revocation)["state"]["removals"][0]["use"]
    does(system, revocation, "ConfirmRemoval", {"use": removal}, COORDINATOR)
    return {
        "consent": consent, "receipt": receipt, "picture": picture, "use": use, "before": before, "at": shown_at,
        "revocation": revocation, "status": status, "asked": asked, "accepted": accepted, "refused": refused,
        "patron": patron,
    }  # fmt: skip


def found(system: RunningSystem) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = system.json("consent", "find", "-", "--as", CLERK, given={"name": NAME.upper()})
    return told


def a_picture(system: RunningSystem, patron: str, folder: Path) -> str:
    case = str(reported(system, str(uuid4()), patron=patron)["case"])
    add_file(system, case, folder)
    return case


def reported(system: RunningSystem, id_: str, **person: str) -> dict[str, Any]:
    """A picture taken of this person, or of one who has no number yet."""
    persons = [{"who": WORDS, **person}]
    fields = {"taken_at": "2026-01-02T10:00:00-06:00", "taken_by": STAFF, "place": "durant", "persons": persons}
    answer: dict[str, Any] = system.json("request", "photo_permission", "-", "--as", STAFF, "--id", id_, given=fields)
    return answer


def add_file(system: RunningSystem, case: str, folder: Path) -> None:
    file = folder / "picture.jpg"
    file.write_bytes(with_place())
    added = system.json("picture", "add", case, str(file), "--as", STAFF)
    assert added["taken"]["had_location"] is True


def case_shown(system: RunningSystem, process: str) -> str:
    """The moment at which the newest event of this stream was recorded."""
    events = [each for each in system.json("audit", "trail") if each["case_id"] == process]
    return str(events[-1]["recorded_at"]).replace(" ", "T")


def test_from_the_form_over_the_picture_to_the_answer_by_the_link(door: httpx.Client, lived: dict[str, Any]) -> None:
    assert "make sure who asks" in lived["asked"]["stands"]
    assert (lived["accepted"]["uses_to_remove"], lived["accepted"]["uses_removed"]) == (1, 0)
    answered = door.get(lived["status"]).json()
    assert (answered["stands"], answered["uses_removed"], answered["uses_to_remove"]) == ("carried out", 1, 0)


def test_from_the_acceptance_on_no_new_use_is_recorded(lived: dict[str, Any]) -> None:
    assert lived["refused"]["refused"]["clauses"] == ["PU-6", "PR-12"]


def test_may_use_answers_for_now_and_for_then_what_was_answered_then(
    system: RunningSystem, lived: dict[str, Any]
) -> None:
    now = system.json("consent", "may-use", lived["picture"], "--account", PRINT)
    then = system.json("consent", "may-use", lived["picture"], "--account", PRINT, "--at", lived["at"])
    assert (lived["before"]["may"], then["may"], now["may"]) == (True, True, False)
    assert (then["bases"], then["against"]) == (lived["before"]["bases"], [])
    assert now["against"][0]["clauses"] == ["PU-6", "PR-12"]
    assert {each["kind"] for each in then["rests_on"]} < {each["kind"] for each in now["rests_on"]}


def test_the_receipt_says_how_to_take_it_back_as_json_and_as_a_page(
    system: RunningSystem, door: httpx.Client, lived: dict[str, Any]
) -> None:
    told = door.get(lived["receipt"])
    assert told.headers["cache-control"] == "no-store"
    assert told.json()["schema_version"].startswith("ISO/IEC TS 27560")
    assert "Write to" in told.json()["withdrawal"]["how"]
    page = door.get(f"{lived['receipt']}/page")
    assert page.headers["content-type"].startswith("text/html")
    assert "How to take it back" in page.text
    assert "<script" not in page.text
    assert system.json("consent", "receipt", lived["consent"])["record_id"] == lived["consent"]


def test_a_receipt_or_a_status_of_someone_else_is_as_unknown_as_none(door: httpx.Client, lived: dict[str, Any]) -> None:
    case = lived["receipt"].split("/")[-2]
    others = lived["status"].split("/")[-1]
    told = [
        door.get(f"/api/v1/patron/{what}/{id_}/{secret}")
        for what in ("consents", "revocations")
        for id_, secret in ((case, others), (case, "x"), (str(uuid4()), others), ("not-a-number", "x"))
    ]
    assert {(each.status_code, each.text) for each in told} == {(404, told[0].text)}


def test_whether_anyone_is_on_record_is_not_told(door: httpx.Client) -> None:
    known = door.post("/api/v1/patron/revocations", json={"name": NAME, "what": WORDS})
    nobody = door.post("/api/v1/patron/revocations", json={"name": "Somebody else", "what": WORDS})
    assert (known.status_code, set(known.json())) == (nobody.status_code, set(nobody.json()))
    assert len(known.text) == len(nobody.text)


def test_the_same_request_again_is_the_same(door: httpx.Client) -> None:
    said = {"place": "durant", "name": NAME, "what": WORDS}
    key = {"Idempotency-Key": str(uuid4())}
    first, again = (door.post("/api/v1/patron/revocations", json=said, headers=key).json() for _ in range(2))
    assert first == again


def test_a_picture_reported_again_is_the_same_though_someone_else_was_recognised_meanwhile(
    system: RunningSystem, tmp_path: Path
) -> None:
    id_ = str(uuid4())
    first = reported(system, id_)
    add_file(system, first["case"], tmp_path)
    does(system, first["case"], "IdentifyPerson", {"person": {"who": WORDS}}, STAFF)
    again = reported(system, id_)
    assert [each["event_id"] for each in again["recorded"]] == [each["event_id"] for each in first["recorded"]]


@pytest.mark.parametrize(
    ("said", "status", "word"),
    [
        ({"form": "adult", "born": "2999-01-01"}, 422, "still to come"),
        ({"form": "adult", "born": "yesterday"}, 422, "not a day"),
        ({"form": "adult", "born": "2020-06-30"}, 409, "cannot give this consent for themselves"),
        ({"form": "event_notice"}, 422, "put up by the library"),
        ({"form": "adult", "patron": str(uuid4())}, 422, "the form does not have"),
        ({"form": "adult", "place": "atlantis"}, 409, "no place"),
    ],
)
def test_what_the_form_cannot_take_is_told(door: httpx.Client, said: dict[str, Any], status: int, word: str) -> None:
    whole = {"place": "durant", "name": NAME} | said
    # each from an address of its own, as far as the limit is concerned: these are refused, not a flood
    told = door.post("/api/v1/patron/consents", json=whole, headers={"X-Forwarded-For": f"10.0.0.{len(word)}"})
    assert told.status_code == status, told.text
    assert word in told.text


def test_a_text_named_jpg_is_told_and_nothing_is_recorded(
    system: RunningSystem, lived: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "picture.jpg"
    file.write_text("Dear library")
    told = system.cli("picture", "add", lived["picture"], str(file), "--as", STAFF)
    assert told.exit_code == 2
    assert "no picture" in told.output


def test_only_staff_look_for_patrons(system: RunningSystem) -> None:
    told = system.cli("consent", "find", "-", "--as", "p-auditor", given=json.dumps({"name": NAME}))
    assert told.exit_code == 3


def test_a_search_for_a_patron_is_on_record_by_what_was_asked_and_never_with_what_was_said(
    system: RunningSystem, lived: dict[str, Any]
) -> None:
    before = len(searches(system))
    assert lived["patron"] in {each["patron"] for each in found(system)}
    nobody = {"name": "Somebody who never wrote"}
    assert system.far_json(CLERK, "consent", "find", "-", "--purpose", "patron_asked", given=nobody) == []
    for _ in range(100):
        if len(searches(system)) == before + 2:
            break
        time.sleep(0.2)
    first, second = searches(system)[before:]
    assert (first["actor"], first["channel"], first["fact"]["by_what"]) == (CLERK, "cli", ["name"])
    assert lived["patron"] in first["fact"]["patrons"]
    assert (second["channel"], second["fact"]["patrons"], second["fact"]["purpose"]) == ("api", [], "patron_asked")


def searches(system: RunningSystem) -> list[dict[str, Any]]:
    return [each for each in system.json("audit", "trail") if each["kind"] == "openings.PatronsSought"]


def test_a_picture_and_a_receipt_are_had_at_a_distance_by_those_of_the_branch(
    system: RunningSystem, lived: dict[str, Any], tmp_path: Path
) -> None:
    here, far = tmp_path / "here.jpg", tmp_path / "far.jpg"
    told = system.json("picture", "take-out", lived["picture"], "--out", str(here))
    again = system.far_json(STAFF, "picture", "take-out", lived["picture"], "--out", str(far))
    assert again == told | {"out": str(far)}
    assert here.read_bytes() == far.read_bytes()
    assert not Image.open(far).getexif()
    refused = system.far("p-bs-goodman-1", "picture", "take-out", lived["picture"], "--out", str(tmp_path / "x"))
    assert refused.exit_code == 3
    receipt = system.far_json(STAFF, "consent", "receipt", lived["consent"])
    assert receipt == system.json("consent", "receipt", lived["consent"])
    may_use = ("consent", "may-use", lived["picture"], "--account", PRINT, "--at", lived["at"])
    assert system.far_json(STAFF, *may_use) == system.json(*may_use)
    file = tmp_path / "text.jpg"
    file.write_text("Dear library")
    assert system.far(STAFF, "picture", "add", lived["picture"], str(file)).exit_code == 2


def test_the_registers_show_it(system: RunningSystem, lived: dict[str, Any]) -> None:
    uses = system.json("consent", "uses", "--content", lived["picture"])
    assert [(each["target"], each["ended_in"]) for each in uses] == [(PRINT, lived["revocation"])]
    (far,) = [each for each in system.json("revocations") if each["case"] == lived["revocation"]]
    assert (far["stage"], far["uses_found"], far["removed"]) == ("completed", 1, 1)
    assert lived["consent"] in {each["case"] for each in system.json("consent", "list")}


def test_staff_ask_the_same_over_http_and_nobody_else_does(
    system: RunningSystem, door: httpx.Client, lived: dict[str, Any]
) -> None:
    asked = [
        f"/api/v1/may-use?content={lived['picture']}&account={PRINT}", "/api/v1/consents?standing=revoked",
        f"/api/v1/uses?content={lived['picture']}", "/api/v1/revocations?open=true",
    ]  # fmt: skip
    assert {door.get(each).status_code for each in asked} == {401}
    staff = {"Authorization": f"Bearer {system.token(STAFF)}"}
    may_use, consents, uses, still_open = (door.get(each, headers=staff).json() for each in asked)
    assert (may_use["may"], {each["standing"] for each in consents} <= {"revoked"}) == (False, True)
    assert [each["target"] for each in uses] == [PRINT]
    assert lived["revocation"] not in {each["case"] for each in still_open}


def test_what_is_no_picture_is_told_over_http_too(
    system: RunningSystem, door: httpx.Client, lived: dict[str, Any]
) -> None:
    staff = {"Authorization": f"Bearer {system.token(STAFF)}"}
    told = door.post(f"/api/v1/pictures/{lived['picture']}", content=b"Dear library", headers=staff)
    assert (told.status_code, told.json()["field"]) == (422, "picture")
    wrong = door.post(f"/api/v1/pictures/{lived['consent']}", content=b"x", headers=staff)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "case")
    malformed = door.get("/api/v1/may-use?content=https://example.org/x", headers=staff)
    assert (malformed.status_code, malformed.json()["field"]) == (422, "content")


def test_nothing_a_patron_said_stands_in_clear_in_trail_views_mail_or_logs(
    system: RunningSystem, lived: dict[str, Any]
) -> None:
    shown = json.dumps([
        system.json("audit", "trail"), system.json("consent", "list"), system.json("revocations"),
        system.json("consent", "uses"), system.json("case", "list"), system.json("inbox", "--as", COORDINATOR),
    ])  # fmt: skip
    files = [*(system.data / "mail").glob("*"), *(system.data / "logs").glob("*")]
    assert files
    everything = [shown, *(each.read_text(errors="replace") for each in files if each.is_file())]
    assert [word for text in everything for word in IN_CLEAR if word in text] == []


def test_the_letter_is_kept_without_an_address_where_there_is_no_mail_server(
    system: RunningSystem, lived: dict[str, Any]
) -> None:
    for _ in range(100):
        if letters := [each for each in mail_of(system) if lived["revocation"] in each.get_content()]:
            break
        time.sleep(0.2)
    (letter,) = [each for each in letters if "It has stopped" in each.get_content()]
    assert letter["To"] == "patron@patron.invalid"


def mail_of(system: RunningSystem) -> list[EmailMessage]:
    files = (system.data / "mail").glob("*.eml")
    return [message_from_bytes(each.read_bytes(), EmailMessage, policy=default) for each in files]


def test_a_flood_from_one_address_is_bounded_and_staff_work_on(system: RunningSystem, door: httpx.Client) -> None:
    said = {"place": "durant", "name": NAME, "what": WORDS}
    told = [door.post("/api/v1/patron/revocations", json=said) for _ in range(12)]
    turned_away = [each for each in told if each.status_code == 429]
    assert turned_away
    assert told[-1].status_code == 429
    assert int(turned_away[0].headers["retry-after"]) > 0
    assert "letter" in turned_away[0].json()["remedy"]
    assert system.cli("case", "list").exit_code == 0


def test_four_witnesses_agree_over_openings_searches_and_all_the_rest(
    system: RunningSystem, lived: dict[str, Any]
) -> None:
    assert searches(system)
    told = system.cli("audit", "replay", "--json")
    assert told.exit_code == 0, told.output
    decisions = json.loads(told.stdout)["decisions"]
    assert decisions["agree"] == decisions["judged"] > 10
