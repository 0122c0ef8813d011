"""What Entra, Okta and others really send, and what the directory makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

import httpx
import pytest
from psycopg_pool import PoolTimeout

from domain.directory import OfPerson, Person
from domain.facts import ActorKind, Channel
from domain.hr_feed_messages import UserStored, stream_of_resource
from domain.hr_register import HrRegister
from services.hr import office as hr_office
from services.hr.scim import EMPLOYMENT, LARGEST_BODY_BYTES, LedgerStorage, ScimDoor
from services.ledger import Answer, Ledger
from services.seal import Seal
from tests.system import Office

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
NUMBERS = count(1)


class Hr(NamedTuple):
    """One HR system at the door of the office."""

    office: Office
    system: str
    http: httpx.AsyncClient

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.http.request(method, f"/scim/v2{path}", json=body, headers=headers)

    async def user(self, name: str = "", **more: Any) -> dict[str, Any]:
        nth = next(NUMBERS)
        sent = a_user(name or f"ada{nth}@example.org", f"E-{nth}") | more
        answer = await self.send("POST", "/Users", sent)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def patch(self, user: dict[str, Any], *operations: dict[str, Any], kind: str = "Users") -> httpx.Response:
        return await self.send("PATCH", f"/{kind}/{user['id']}", {"schemas": [PATCH], "Operations": list(operations)})

    async def get(self, user: dict[str, Any], kind: str = "Users") -> dict[str, Any]:
        return dict((await self.send("GET", f"/{kind}/{user['id']}")).json())

    def person(self, user: dict[str, Any]) -> Person:
        """Also of a user who is deleted by now: then by HR's number."""
        library = self.office.ledger.library()
        known = library.hr().user(self.system, user["id"])
        found = library.person(known.person if known else user[ENTERPRISE]["employeeNumber"])
        assert found
        return found

    def history(self, user: dict[str, Any]) -> list[str]:
        _, recorded = self.office.ledger.read_on(stream_of_resource(self.system, user["id"]))
        return [type(each.fact).__name__ for each in recorded if isinstance(each.fact, OfPerson)]

    def waiting(self) -> list[str]:
        found = hr_office.waiting(self.office.ledger)["quarantine"]
        return [each["problem"] for each in found if each["system"] == self.system]

    def roles(self, user: dict[str, Any]) -> set[str]:
        return {role.value for role in self.office.ledger.library().roles(self.person(user).id)}


def a_user(name: str, number: str) -> dict[str, Any]:
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": name,
        "externalId": f"okta-{number}",
        "displayName": "Ada Reader",
        "title": "Library Clerk",
        "active": True,
        "emails": [{"type": "work", "value": name, "primary": True}],
        ENTERPRISE: {"employeeNumber": number, "department": "Durant library"},
    }


@pytest.fixture
async def hr(office: Office) -> AsyncIterator[Hr]:
    system = f"hr{next(NUMBERS)}"
    token = hr_office.register(office.ledger, system)["token"]
    async with at_the_door(office, token) as http:
        yield Hr(office, system, http)


def at_the_door(office: Office, token: str) -> httpx.AsyncClient:
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await door({**scope, "root_path": "/scim"}, receive, send)

    door = ScimDoor(lambda: office.ledger, lambda: office.seal)
    transport = httpx.ASGITransport(app=mounted)
    return httpx.AsyncClient(
        transport=transport, base_url="http://library.example", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )


# what is away


@pytest.mark.parametrize("question", [(Ledger, "hr"), (Ledger, "submit_own"), (Seal, "text"), (Seal, "opened")])
async def test_with_a_database_away_hr_is_told_to_send_it_again_and_can(
    hr: Hr, monkeypatch: pytest.MonkeyPatch, question: tuple[type, str]
) -> None:
    def away(*_: object, **__: object) -> None:
        raise PoolTimeout("the database does not answer")

    known = await hr.user("kept@example.org")
    token = hr.http.headers["Authorization"].removeprefix("Bearer ")
    # a door that has to open first what was stored before
    async with at_the_door(hr.office, token) as other:
        with monkeypatch.context() as patched:
            patched.setattr(*question, away)
            answer = await other.put(f"/scim/v2/Users/{known['id']}", json=a_user("kept@example.org", "E-kept"))
            assert answer.status_code == 503, answer.text
            assert "send it again" in answer.json()["detail"]
        again = await other.put(f"/scim/v2/Users/{known['id']}", json=a_user("kept@example.org", "E-kept"))
    assert again.status_code == 200, again.text


async def test_what_another_process_wrote_meanwhile_is_the_answer_with_its_own_version(
    hr: Hr, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = LedgerStorage._learn

    def and_then_of_another(storage: LedgerStorage, answer: Answer, text: str) -> HrRegister:
        own = learn(storage, answer, text)
        for (_, id_), written in own.resources.items():
            newer = written._replace(version=written.version + 1)
            storage._take(id_, newer, text.replace("Library Clerk", "Cataloger"))
        return own

    user = await hr.user()
    sent = {name: value for name, value in user.items() if name not in ("id", "meta")}
    with monkeypatch.context() as patched:
        patched.setattr(LedgerStorage, "_learn", and_then_of_another)
        answer = await hr.send("PUT", f"/Users/{user['id']}", sent | {"displayName": "Ada Lovelace Reader"})
    assert answer.status_code == 200, answer.text
    now = await hr.get(user)
    assert (answer.json()["title"], answer.headers["ETag"]) == ("Cataloger", now["meta"]["version"])


# people


async def test_a_user_becomes_a_person_with_hr_as_the_actor(hr: Hr) -> None:
    user = await hr.user("Ada.Reader@Example.org")
    person = hr.person(user)
    assert (person.name, person.position, person.branch) == ("Ada Reader", "Library Clerk", "durant")
    assert person.active
    assert person.work_email == "Ada.Reader@Example.org"
    _, recorded = hr.office.ledger.read_on(stream_of_resource(hr.system, user["id"]))
    kinds = [each.envelope.kind for each in recorded]
    assert kinds == ["hr_feed.UserStored", "directory.PersonJoined", "hr_feed.SourceSet"]
    by = {(each.envelope.actor.kind, each.envelope.actor.id, each.envelope.channel) for each in recorded}
    assert by == {(ActorKind.HR_SYSTEM, hr.system, Channel.HR_FEED)}


async def test_the_person_id_is_hr_s_number_then_the_external_id_and_never_a_name(hr: Hr) -> None:
    numbered = await hr.user("n1@example.org", externalId="ext-n1")
    external = await hr.user("n2@example.org", externalId="00u-n2", **{ENTERPRISE: {"department": "durant"}})
    in_disguise = await hr.user("n3@example.org", externalId="n3", **{ENTERPRISE: {"department": "durant"}})
    bare = await hr.user("n4@example.org", externalId="n4@example.org", **{ENTERPRISE: {}})

    assert hr.person(numbered).id == numbered[ENTERPRISE]["employeeNumber"]
    assert hr.person(external).id == "00u-n2"
    assert hr.person(in_disguise).id == in_disguise["id"]
    assert hr.person(bare).id == bare["id"]


async def test_what_the_directory_does_not_know_comes_back_as_sent_and_is_sealed_in_the_log(hr: Hr) -> None:
    more = {"nickName": "Countess", "phoneNumbers": [{"type": "mobile", "value": "+1 662 555 0199"}]}
    user = await hr.user("round@example.org", **more)
    found = await hr.get(user)
    assert found["nickName"] == "Countess"
    assert found["phoneNumbers"][0]["value"] == "+1 662 555 0199"
    rows = hr.office.ledger.recorder.stream_after(stream_of_resource(hr.system, user["id"]), 0)
    assert all(b"Countess" not in row.state and b"555 0199" not in row.state for row in rows)


async def test_a_password_is_kept_nowhere(hr: Hr) -> None:
    user = await hr.user("pw@example.org", password="t0p-secret")
    known = hr.office.ledger.library().hr().resources[hr.system, user["id"]]
    assert isinstance(known.fact, UserStored)
    assert "t0p-secret" not in hr.office.seal.opened(known.fact.resource, known.command, "resource")


async def test_another_process_reads_the_same_resources_from_the_log(hr: Hr) -> None:
    user = await hr.user("elsewhere@example.org", nickName="Elsie")
    token = hr.http.headers["Authorization"].partition(" ")[2]
    async with at_the_door(hr.office, token) as other:
        found = (await other.get(f"/scim/v2/Users/{user['id']}")).json()
    assert found == await hr.get(user)


@pytest.mark.parametrize("word", ["False", "false", False])
async def test_entra_suspends_with_a_word(hr: Hr, word: object) -> None:
    user = await hr.user()
    assert (await hr.patch(user, {"op": "Replace", "path": "active", "value": word})).status_code == 204
    assert not hr.person(user).active
    assert hr.history(user) == ["PersonJoined", "PersonLeft"]


async def test_entra_suspends_without_a_path(hr: Hr) -> None:
    user = await hr.user()
    assert (await hr.patch(user, {"op": "replace", "value": {"active": "False"}})).status_code == 204
    assert not hr.person(user).active


async def test_entra_sends_paths_as_keys(hr: Hr) -> None:
    user = await hr.user()
    value = {
        "displayName": "Ada L. Reader",
        "name.givenName": "Ada",
        'emails[type eq "work"].value': "ada.l@example.org",
        f"{ENTERPRISE}:department": "goodman",
    }
    assert (await hr.patch(user, {"op": "Replace", "value": value})).status_code == 204
    person = hr.person(user)
    assert (person.name, person.work_email, person.branch) == ("Ada L. Reader", "ada.l@example.org", "goodman")
    assert (await hr.get(user))["name"]["givenName"] == "Ada"


@pytest.mark.parametrize("what", ["Add", "Replace"])
async def test_entra_sets_an_address_where_there_is_none(hr: Hr, what: str) -> None:
    user = await hr.user(emails=[])
    operations = [
        {"op": what, "path": 'emails[type eq "work"].value', "value": "new@example.org"},
        {"op": what, "path": 'emails[type eq "work"].primary', "value": "True"},
        {"op": what, "path": 'phoneNumbers[type eq "work"].value', "value": "+1 662 555 0111"},
    ]
    assert (await hr.patch(user, *operations)).status_code == 204
    found = await hr.get(user)
    assert found["emails"] == [{"type": "work", "value": "new@example.org", "primary": True}]
    assert found["phoneNumbers"][0]["value"] == "+1 662 555 0111"
    assert hr.person(user).work_email == "new@example.org"


@pytest.mark.parametrize("shape", ["string", "object", "list"])
async def test_the_manager_in_any_shape(hr: Hr, shape: str) -> None:
    boss, user = await hr.user(), await hr.user()
    value = {"string": boss["id"], "object": {"value": boss["id"]}, "list": [{"value": boss["id"]}]}[shape]
    assert (await hr.patch(user, {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": value})).status_code == 204
    assert hr.person(user).supervisor == hr.person(boss).id
    assert (await hr.patch(user, {"op": "Remove", "path": f"{ENTERPRISE}:manager"})).status_code == 204
    assert hr.person(user).supervisor is None


async def test_entra_clears_with_null(hr: Hr) -> None:
    user = await hr.user(nickName="Countess")
    assert (await hr.patch(user, {"op": "Add", "path": "nickName", "value": None})).status_code == 204
    assert "nickName" not in await hr.get(user)


async def test_okta_s_replacement_without_active_suspends_nobody_and_brings_nobody_back(hr: Hr) -> None:
    user = await hr.user()
    told = user | {"title": "Library Assistant", "groups": []}
    del told["active"]
    assert (await hr.send("PUT", f"/Users/{user['id']}", told)).status_code == 200
    assert (hr.person(user).active, hr.person(user).position) == (True, "Library Assistant")
    await hr.patch(user, {"op": "replace", "value": {"active": False}})
    assert (await hr.send("PUT", f"/Users/{user['id']}", told)).status_code == 200
    assert not hr.person(user).active


async def test_okta_s_probes_and_filters(hr: Hr) -> None:
    user = await hr.user("Probe.Me@example.org")
    page = (await hr.send("GET", "/Users?startIndex=1&count=2")).json()
    assert page["totalResults"] == 1
    found = (await hr.send("GET", '/Users?filter=userName eq "probe.me@EXAMPLE.org"&startIndex=1&count=100')).json()
    assert [each["id"] for each in found["Resources"]] == [user["id"]]


async def test_a_user_name_is_taken_in_any_case(hr: Hr) -> None:
    await hr.user("case@example.org")
    again = await hr.send("POST", "/Users", a_user("CASE@example.org", "E-other"))
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")


async def test_a_second_user_for_the_same_person_is_a_conflict(hr: Hr) -> None:
    user = await hr.user()
    again = await hr.send("POST", "/Users", a_user("other@example.org", user[ENTERPRISE]["employeeNumber"]))
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")


async def test_who_was_suspended_is_still_returned(hr: Hr) -> None:
    user = await hr.user()
    await hr.patch(user, {"op": "replace", "path": "active", "value": False})
    assert (await hr.get(user))["active"] is False


async def test_the_same_change_again_changes_nothing(hr: Hr) -> None:
    user = await hr.user()
    change = {"op": "replace", "path": "title", "value": "Library Assistant"}
    await hr.patch(user, change)
    version, log = (await hr.get(user))["meta"]["version"], hr.office.ledger.recorder.max_notification_id()
    assert (await hr.patch(user, change)).status_code == 204
    assert ((await hr.get(user))["meta"]["version"], hr.office.ledger.recorder.max_notification_id()) == (version, log)


# groups


async def a_group(hr: Hr, name: str, *members: dict[str, Any]) -> dict[str, Any]:
    told = {"schemas": [GROUP], "displayName": name, "members": [{"value": each["id"]} for each in members]}
    return dict((await hr.send("POST", "/Groups", told)).json())


async def test_members_are_removed_by_a_list_of_values_and_only_those(hr: Hr) -> None:
    one, two, three = await hr.user(), await hr.user(), await hr.user()
    group = await a_group(hr, "Staff", one, two, three)
    gone = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": one["id"]}, {"value": three["id"]}]}
    assert (await hr.patch(group, gone, kind="Groups")).status_code == 204
    assert [each["value"] for each in (await hr.get(group, "Groups"))["members"]] == [two["id"]]


@pytest.mark.parametrize("value", [[], [{"value": "nobody"}], {"value": "nobody"}, "nobody"])
async def test_a_removal_that_names_nobody_here_removes_nobody(hr: Hr, value: object) -> None:
    user = await hr.user()
    group = await a_group(hr, "Staff", user)
    removal = {"op": "remove", "path": "members", "value": value}
    assert (await hr.patch(group, removal, kind="Groups")).status_code == 204
    assert len((await hr.get(group, "Groups"))["members"]) == 1


@pytest.mark.parametrize("value", [[{"display": "Ada"}], [{}], [7], {"value": 'x" or value pr or value eq "'}])
async def test_a_removal_that_cannot_be_understood_removes_nobody(hr: Hr, value: object) -> None:
    user = await hr.user()
    group = await a_group(hr, "Staff", user)
    await hr.patch(group, {"op": "remove", "path": "members", "value": value}, kind="Groups")
    assert len((await hr.get(group, "Groups"))["members"]) == 1


async def test_of_many_changes_to_one_group_at_once_none_is_lost(hr: Hr) -> None:
    users = [await hr.user() for _ in range(8)]
    group = await a_group(hr, "Staff")
    token = hr.http.headers["Authorization"].partition(" ")[2]
    async with at_the_door(hr.office, token) as elsewhere:
        doors = [hr.http, elsewhere]
        path = f"/scim/v2/Groups/{group['id']}"
        adding = [{"op": "add", "path": "members", "value": [{"value": each["id"]}]} for each in users]
        bodies = [{"schemas": [PATCH], "Operations": [operation]} for operation in adding]
        changes = [doors[nth % 2].patch(path, json=body) for nth, body in enumerate(bodies)]
        answers = await asyncio.gather(*changes)
    assert {each.status_code for each in answers} == {204}
    found = {each["value"] for each in (await hr.get(group, "Groups"))["members"]}
    assert found == {each["id"] for each in users}


async def test_a_change_that_names_an_old_version_is_refused(hr: Hr) -> None:
    user = await hr.user()
    old = user["meta"]["version"]
    await hr.patch(user, {"op": "replace", "path": "title", "value": "Library Assistant"})
    body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "Cataloger"}]}
    refused = await hr.send("PATCH", f"/Users/{user['id']}", body, **{"If-Match": old})
    assert refused.status_code == 412
    assert hr.person(user).position == "Library Assistant"


async def test_a_group_gives_no_role_that_the_policy_does_not_map(hr: Hr) -> None:
    user = await hr.user()
    before = hr.roles(user)
    await a_group(hr, "Executive Directors", user)
    assert hr.roles(user) == before == {"branch_staff"}


# come, go, and come again


def working(**dates: str) -> dict[str, Any]:
    return {EMPLOYMENT: dates}


async def test_a_hire_ahead_is_known_and_not_at_work_yet(hr: Hr) -> None:
    user = await hr.user(**working(startDate="2026-04-01"))
    assert str(hr.person(user).start) == "2026-04-01"
    assert not hr.office.ledger.library().is_active(hr.person(user).id)


async def test_a_planned_departure_is_a_change_and_a_late_one_is_a_departure(hr: Hr) -> None:
    planned, late = await hr.user(), await hr.user()
    path = f"{EMPLOYMENT}:endDate"
    await hr.patch(planned, {"op": "add", "path": path, "value": "2026-12-31"})
    await hr.patch(late, {"op": "add", "path": path, "value": "2026-03-01T23:59:59Z"})
    assert hr.history(planned) == ["PersonJoined", "PersonChanged"]
    assert hr.history(late) == ["PersonJoined", "PersonLeft"]


async def test_a_departure_that_is_taken_back_is_a_return(hr: Hr) -> None:
    user = await hr.user()
    await hr.patch(user, {"op": "add", "path": f"{EMPLOYMENT}:endDate", "value": "2026-02-27"})
    await hr.patch(user, {"op": "remove", "path": f"{EMPLOYMENT}:endDate"})
    assert hr.history(user) == ["PersonJoined", "PersonLeft", "PersonReturned"]


async def test_a_rehire_keeps_the_person_id(hr: Hr) -> None:
    user = await hr.user()
    assert (await hr.send("DELETE", f"/Users/{user['id']}")).status_code == 204
    assert not hr.person(user).active
    again = await hr.user("married@example.org", **{ENTERPRISE: user[ENTERPRISE]})
    assert again["id"] != user["id"]
    assert hr.person(again).id == hr.person(user).id
    assert hr.history(again) == ["PersonReturned"]


async def test_an_older_message_that_comes_late_is_set_aside(hr: Hr) -> None:
    user = await hr.user(**working(effectiveAt="2026-03-02T10:00:00Z"))
    late = working(effectiveAt="2026-03-01T10:00:00Z") | {"title": "Cataloger"}
    answer = await hr.send("PUT", f"/Users/{user['id']}", user | late)
    assert (answer.status_code, answer.json()["title"]) == (200, "Library Clerk")
    assert hr.person(user).position == "Library Clerk"


async def test_a_mover_is_told_apart(hr: Hr) -> None:
    user = await hr.user()
    await hr.patch(user, {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "winona"})
    assert hr.history(user) == ["PersonJoined", "PersonMoved"]


# what has to wait


async def test_an_unknown_branch_or_position_is_kept_gives_nothing_and_shows(hr: Hr) -> None:
    told: dict[str, Any] = {"title": "Executive Director", ENTERPRISE: {"department": "Atlantis"}}
    user = await hr.user(**told)
    person = hr.person(user)
    assert (person.branch, person.position) == ("Atlantis", "Executive Director")
    assert hr.roles(user) == set()
    shown = hr_office.waiting(hr.office.ledger)["remedies"]
    assert [(each["field"], each["said"]) for each in shown if each["person"] == person.id] == [("branch", "Atlantis")]
    await hr.patch(user, {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "durant"})
    assert not [each for each in hr_office.waiting(hr.office.ledger)["remedies"] if each["person"] == person.id]


async def test_another_feed_s_person_is_left_alone_until_they_are_assigned(hr: Hr) -> None:
    told: dict[str, Any] = {ENTERPRISE: {"employeeNumber": "p-hq-clerk", "department": "durant"}}
    user = await hr.user("clerk@example.org", **told)
    assert hr.person(user).branch == "hq"
    assert "one source of record" in hr.waiting()[0]
    assert "refused" not in hr_office.assign(hr.office.ledger, hr.system, ("p-hq-clerk",), None)
    assert hr.person(user).branch == "durant"
    assert hr.waiting() == []


async def test_a_circle_of_managers_waits_and_is_tried_again(hr: Hr) -> None:
    top, below = await hr.user(), await hr.user()
    manager = f"{ENTERPRISE}:manager"
    await hr.patch(below, {"op": "add", "path": manager, "value": {"value": top["id"]}})
    assert (await hr.patch(top, {"op": "add", "path": manager, "value": {"value": below["id"]}})).status_code == 204
    assert hr.person(top).supervisor is None
    assert "below" in hr.waiting()[0]
    await hr.patch(below, {"op": "remove", "path": manager})
    assert hr.person(top).supervisor == hr.person(below).id
    assert hr.waiting() == []


async def test_a_manager_nobody_knows_waits(hr: Hr) -> None:
    told: dict[str, Any] = {ENTERPRISE: {"department": "durant", "manager": {"value": "no-such"}}}
    user = await hr.user(**told)
    assert hr.person(user).supervisor is None
    assert hr.waiting() == ["nobody is known as the manager no-such"]


async def test_a_date_that_is_none_waits(hr: Hr) -> None:
    await hr.user(**working(endDate="soon"))
    assert hr.waiting() == ["endDate soon is no date"]


# bad input


async def test_nobody_is_their_own_manager(hr: Hr) -> None:
    user = await hr.user()
    answer = await hr.patch(user, {"op": "add", "path": f"{ENTERPRISE}:manager", "value": user["id"]})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert "their own manager" in answer.json()["detail"]


async def test_an_end_before_the_start_is_refused(hr: Hr) -> None:
    user = await hr.user()
    answer = await hr.patch(user, {"op": "add", "value": working(startDate="2026-03-02", endDate="2026-03-01")})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert "before the start" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "type_"),
    [
        (b"{broken", 400, "invalidSyntax"),
        (b"[1, 2]", 400, None),
        (b'{"schemas": ["urn:no:such:schema"], "userName": "x"}', 400, None),
        (b"[" * 100_000, 400, None),
        (b"", 400, None),
    ],
)
async def test_a_body_that_is_none_is_a_scim_error(hr: Hr, body: bytes, status: int, type_: str | None) -> None:
    answer = await hr.http.post("/scim/v2/Users", content=body, headers={"Content-Type": "application/scim+json"})
    told = answer.json()
    assert answer.status_code == status
    assert told["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert type_ in (None, told["scimType"])
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "filter_",
    [
        'userName eq "x" or 1=1',
        'userName eq "',
        "';drop table events",
        "((((userName pr",
        "title.a.b.c pr",
        "no_such eq 1",
    ],
)
async def test_a_filter_that_is_none_is_a_scim_error(hr: Hr, filter_: str) -> None:
    answer = await hr.http.get("/scim/v2/Users", params={"filter": filter_})
    assert answer.status_code in (200, 400)
    assert answer.status_code == 400 or answer.json()["totalResults"] == 0


async def test_a_bulk_that_is_too_large_is_refused_as_a_whole(hr: Hr) -> None:
    operation = {"method": "POST", "path": "/Users", "bulkId": "x", "data": a_user("bulk@example.org", "E-bulk")}
    many = await hr.send("POST", "/Bulk", {"schemas": [BULK], "Operations": [operation] * 1001})
    assert many.status_code == 413
    large = await hr.http.post("/scim/v2/Bulk", content=b"x" * (LARGEST_BODY_BYTES + 1))
    assert large.status_code == 413
    assert (await hr.send("GET", "/Users")).json()["totalResults"] == 0


async def test_a_bulk_applies_what_it_can_in_order(hr: Hr) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": a_user("a@bulk.example", "E-a")},
        {"method": "POST", "path": "/Groups", "bulkId": "g",
         "data": {"schemas": [GROUP], "displayName": "Bulk", "members": [{"value": "bulkId:a"}]}},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": a_user("A@bulk.example", "E-b")},
    ]  # fmt: skip
    answer = await hr.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    assert [each["status"] for each in answer.json()["Operations"]] == ["201", "201", "409"]


async def test_another_system_s_token_sees_and_changes_nothing_of_this_one(hr: Hr) -> None:
    user = await hr.user()
    token = hr_office.register(hr.office.ledger, f"hr{next(NUMBERS)}")["token"]
    async with at_the_door(hr.office, token) as other:
        path = f"/scim/v2/Users/{user['id']}"
        assert (await other.get(path)).status_code == 404
        assert (await other.delete(path)).status_code == 404
        assert (await other.get("/scim/v2/Users")).json()["totalResults"] == 0
    assert hr.person(user).active


async def test_a_revoked_token_opens_nothing_from_the_next_request_on(hr: Hr) -> None:
    assert (await hr.send("GET", "/Users")).status_code == 200
    assert "refused" not in hr_office.revoke(hr.office.ledger, hr.system)
    refused = await hr.send("GET", "/Users")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="SCIM"')


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer x", "Basic aGk6aG8=", "Bearer " + "x" * 10_000])
async def test_without_a_good_token_nothing_is_told_but_the_configuration(office: Office, given: str) -> None:
    async with at_the_door(office, "") as nobody:
        headers = {"Authorization": given}
        assert (await nobody.get("/scim/v2/Users", headers=headers)).status_code == 401
        assert (await nobody.post("/scim/v2/Users", headers=headers, json={})).status_code == 401
        assert (await nobody.get("/scim/v2/ServiceProviderConfig", headers=headers)).status_code == 200


async def test_only_the_hash_of_a_token_is_in_the_log(hr: Hr) -> None:
    token = hr.http.headers["Authorization"].partition(" ")[2]
    last = hr.office.ledger.recorder.max_notification_id() or 0
    assert all(token.encode() not in row.state for row in hr.office.ledger.recorder.between(1, last))


async def test_a_message_says_when_it_was_taken_by_our_clock(hr: Hr) -> None:
    user = await hr.user()
    assert datetime.fromisoformat(user["meta"]["created"]) == hr.office.clock.now()
