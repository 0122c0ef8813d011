"""Markers stand for what patrons entrust to the library. They are put in through every entrance there is; then every
byte that the system keeps is searched for them; then the patron is erased, and whoever has all bytes from before and
after, and the key-encryption key of today, can open none of it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from PIL import ExifTags, Image
from typer.testing import Result

from domain.facts import Evidence, Sealed, case_key, patron_key
from services.audit.records import FORMATS, HTML, PDF
from services.door import key_encryption_key
from services.embedded_postgresql import place_of_cluster
from services.embedded_temporal import temporal_program, without_temporal_settings
from services.key_store import CannotOpen, KeyEncryptionKey, KeyStore
from services.patrons import PatronIndex, digest, normalised
from services.seal import Opening
from services.settings import Settings, secrets_folder
from tests.services.running import RunningSystem, running_system
from tests.services.traces import a_tag, contents_of, unwrapped_by, where, wrapped_keys_in

pytestmark = pytest.mark.ordeal

BRANCH, DIRECTOR, COORDINATOR, AUDITOR = "p-bm-durant", "p-ed", "p-mac", "p-auditor"
ENTRUSTED, IN_A_PLAIN_SIGNAL = a_tag(), a_tag()
ERASED = "[erased]"
WITHIN_SECONDS = 60.0


def marker(entrance: str) -> str:
    return f"{ENTRUSTED} {entrance}"


class Canary:
    """One system, one patron who is erased, and one who stays."""

    def __init__(self, system: RunningSystem, kept: Path) -> None:
        self.system, self.kept = system, kept
        self.patron, self.other = str(uuid4()), str(uuid4())
        self.case = self.stays = self.held_case = self.picture = self.theirs = ""
        # numbers that the doors gave to the same person, in cases that are over
        self.also: list[str] = []
        self.closed: list[str] = []
        self.evidence: Evidence | None = None

    @property
    def settings(self) -> Settings:
        return Settings.of_data(self.system.data)

    @property
    def api(self) -> httpx.Client:
        return httpx.Client(base_url=self.system.url, timeout=30)

    def headers(self, person: str, patron: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.system.token(person)}", "Imprimatur-Concerns": patron or self.patron}

    def cli(self, *argv: str, given: Any = None) -> Result:
        return self.system.cli(*argv, given=given if given is None or isinstance(given, str) else json.dumps(given))

    def act(self, case: str, command: str, person: str, given: Any = None, patron: str = "") -> dict[str, Any]:
        concerns = ["--concerns", patron] if patron else []
        argv = ("act", case, command, "-", "--as", person, *concerns)
        answer: dict[str, Any] = self.system.json(*argv, given=given or {})
        return answer

    def has_over(self, *cases: str) -> None:
        """Cases that the patron's door opened, under numbers of their own."""
        for case in cases:
            first = self.system.json("case", "show", case)["facts"][0]["fact"]
            self.also.append(first["patron"])
            self.closed.append(case)

    @property
    def erased(self) -> tuple[str, ...]:
        return (self.patron, *self.also)

    # everything that is kept

    @property
    def folders(self) -> tuple[Path, ...]:
        """DATA, and the database's folder where it had to be elsewhere; but for the door's own secrets."""
        return (self.system.data, place_of_cluster(self.system.data, None))

    def on_the_disk(self) -> None:
        with psycopg.connect(self.superuser, autocommit=True) as conn:
            conn.execute("checkpoint")

    @property
    def superuser(self) -> str:
        secrets = json.loads((secrets_folder(self.system.data) / "database.json").read_text())
        url = self.settings.database_url
        assert url is not None
        return url.get_secret_value().replace("://", f"://postgres:{secrets['superuser']}@")

    def copied(self, name: str) -> Path:
        """Every byte of DATA, as a backup or a thief would have it."""
        self.on_the_disk()
        copy = self.kept / name
        for nth, folder in enumerate(dict.fromkeys(self.folders)):
            shutil.copytree(folder, copy / str(nth), ignore=sockets, dirs_exist_ok=True)
        with psycopg.connect(self.superuser) as conn:
            rows = conn.execute("select wrapped from keys.wrapping").fetchall()
        # as a dump has them
        (copy / "keys.dump").write_bytes(b"\x53" + b"\x53".join(bytes(wrapped) for (wrapped,) in rows))
        return copy

    def taken_away(self, name: str) -> Path:
        """What an auditor exports, in every form there is."""
        folder = self.kept / f"exports-{name}"
        folder.mkdir()
        of_all = [each for each in FORMATS if each not in (HTML, PDF)]
        for of, formats in ((("--case", self.case), FORMATS), ((), of_all)):
            out = folder / str(len(of))
            told = self.cli("audit", "export", str(out), *of, "--format", ",".join(formats))
            assert told.exit_code == 0, told.stdout + told.stderr
            assert len(list(out.iterdir())) == len(formats)
        return folder

    def tables_of_keys(self) -> set[str]:
        query = "select pg_relation_filenode(oid)::text from pg_class where relnamespace = 'keys'::regnamespace"
        with psycopg.connect(self.superuser) as conn:
            return {str(name) for (name,) in conn.execute(query).fetchall()}

    def events(self) -> list[tuple[int, bytes]]:
        with psycopg.connect(self.superuser) as conn:
            rows = conn.execute("select notification_id, state from ledger.events order by 1").fetchall()
        return [(int(position), bytes(state)) for position, state in rows]


def sockets(_: str, names: list[str]) -> list[str]:
    """And what is being written this moment, under a name that is gone in the next."""
    passing = (".s.PGSQL", "postmaster.pid")
    return [each for each in names if each.startswith(passing) or each.endswith(".new")]


def until(come: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not (found := come()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    with running_system() as system:
        canary = Canary(system, tmp_path_factory.mktemp("kept"))
        through_every_entrance(canary)
        yield canary


# the entrances


def through_every_entrance(canary: Canary) -> None:
    by_the_command_line(canary)
    by_the_api(canary)
    by_temporal(canary)
    by_hrs_feeds(canary)
    by_what_is_no_case(canary)
    by_what_is_malformed(canary)
    by_the_search(canary)
    by_the_patrons_door(canary)
    by_a_picture(canary)
    another_patron(canary)


def by_the_command_line(canary: Canary) -> None:
    request = canary.system.a_request(purpose=marker("cli purpose"), audience=marker("cli audience"))
    concerns = ("--concerns", canary.patron)
    answer = canary.system.json("request", "account_creation", "-", "--as", BRANCH, *concerns, given=request)
    canary.case = answer["case"]
    refused = canary.act(canary.case, "RefuseAccount", BRANCH, {"reason": marker("refused attempt")}, canary.patron)
    assert refused["refused"], refused
    changes = canary.act(canary.case, "AskForChanges", DIRECTOR, {"reason": marker("reason")}, canary.patron)
    assert changes["recorded"], changes
    file = canary.kept / "evidence.txt"
    file.write_text(marker("evidence") * 50)
    named = ("--type", f"text/plain; name={marker('evidence metadata')}")
    canary.evidence = Evidence.model_validate_json(
        canary.cli("evidence", "add", str(file), "--case", canary.case, *named, *concerns).stdout
    )
    unkept = canary.cli("evidence", "add", str(file), "--case", canary.case, "--type", f"image/{ENTRUSTED}", *concerns)
    assert unkept.exit_code == 2
    file.unlink()
    withdrawn = canary.act(canary.case, "WithdrawRequest", BRANCH, {"reason": marker("cli reason")}, canary.patron)
    assert withdrawn["recorded"], withdrawn


def by_the_api(canary: Canary) -> None:
    headers = canary.headers(BRANCH)
    request = canary.system.a_request(purpose=marker("api purpose"), audience=marker("api audience"))
    with canary.api as api:
        started = api.post("/api/v1/cases/account_creation", json=request, headers=headers)
        assert started.status_code == 201, started.text
        case = started.json()["case"]
        kept = api.post(
            f"/api/v1/cases/{case}/evidence",
            content=marker("api evidence").encode(),
            headers=headers | {"Content-Type": f"image/png; name={ENTRUSTED}"},
        )
        assert (kept.status_code, kept.json()["media_type"]) == (201, "image/png")
        withdrawn = api.post(
            f"/api/v1/cases/{case}/commands/WithdrawRequest", json={"reason": marker("api reason")}, headers=headers
        )
        assert withdrawn.status_code == 200, withdrawn.text


def by_temporal(canary: Canary) -> None:
    """What a door signed travels sealed. In clear it is refused, and leaves no trace outside Temporal, which is reached
    directly here: a boundary of trust."""
    canary.held_case = canary.system.requested()
    signed = canary.system.json(
        "sign", canary.held_case, "AskForChanges", "-", "--as", DIRECTOR, "--concerns", canary.patron,
        given={"reason": marker("signal")},
    )  # fmt: skip
    in_clear = signed | {"fields": signed["fields"] | {"reason": IN_A_PLAIN_SIGNAL}}
    more = signed | {"fields": signed["fields"] | {IN_A_PLAIN_SIGNAL: IN_A_PLAIN_SIGNAL}, "id": IN_A_PLAIN_SIGNAL}
    for payload in (in_clear, more, {"kind": IN_A_PLAIN_SIGNAL}, [IN_A_PLAIN_SIGNAL], signed):
        temporal(canary, "signal", canary.held_case, json.dumps(payload))
    until(lambda: canary.system.json("case", "show", canary.held_case)["stage"] == "changes_asked")
    answer = canary.act(canary.held_case, "WithdrawRequest", BRANCH)
    assert answer["recorded"], answer


def temporal(canary: Canary, what: str, case: str, payload: str) -> None:
    argv = [str(temporal_program()), "workflow", what, "--address", canary.settings.temporal_address]
    argv += ["--workflow-id", case, "--name", "submit", "--input", payload]
    subprocess.run(argv, check=True, capture_output=True, env=without_temporal_settings())


def by_hrs_feeds(canary: Canary) -> None:
    feed = canary.kept / "feed.csv"
    feed.write_text(f"id,name,{ENTRUSTED}\np-new,Someone,{marker('feed')}\n")
    assert canary.cli("staff", "import", str(feed)).exit_code != 0
    feed.unlink()
    token = canary.system.json("hr", "register", "okta")["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    with canary.api as api:
        user = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "p-scim", "active": True,
            "nickName": marker("scim"), "password": marker("scim password"),
        }  # fmt: skip
        made = api.post("/scim/v2/Users", json=user, headers=headers)
        assert made.status_code == 201, made.text
        assert api.post("/scim/v2/Users", content=marker("scim, no JSON"), headers=headers).status_code == 400


def by_what_is_no_case(canary: Canary) -> None:
    window = {"since": "2027-01-04T00:00:00-06:00", "until": "2027-01-18T00:00:00-06:00"}
    given = {"to": "p-ysc", "processes": ["*"], "reason": marker("delegation"), **window}
    assert canary.act("delegation", "Delegate", COORDINATOR, given, canary.patron)["recorded"]
    over = {"over": "person", "of": canary.other, "reason": marker("legal hold")}
    assert canary.act("legal_hold", "PlaceHold", COORDINATOR, over, canary.patron)["recorded"]


def by_what_is_malformed(canary: Canary) -> None:
    for given in (
        {"reason": marker("unknown field"), ENTRUSTED: 1},
        {"reason": {"under": [ENTRUSTED], "wrapped": ENTRUSTED}},
        {"reason": marker("a NUL \x00")},
        {"reason": marker("too long") * 2_000},
        f"no JSON {ENTRUSTED}",
    ):
        argv = ("act", canary.case, "RefuseAccount", "-", "--as", DIRECTOR, "--concerns", canary.patron)
        assert canary.cli(*argv, given=given).exit_code == 2
    assert canary.cli("act", canary.case, ENTRUSTED, "--as", DIRECTOR).exit_code == 2
    assert canary.cli("case", "show", f"account_creation-{ENTRUSTED}").exit_code == 2
    headers = canary.headers(BRANCH)
    with canary.api as api:
        for path, body in (
            (f"/api/v1/cases/{ENTRUSTED}", {"reason": ENTRUSTED}),
            (f"/api/v1/cases/{canary.case}/commands/{ENTRUSTED}", {}),
            ("/api/v1/cases/account_creation", {"purpose": marker("api"), ENTRUSTED: ENTRUSTED}),
        ):
            assert api.post(path, json=body, headers=headers).status_code in (404, 422)
        assert api.post("/api/v1/cases/account_creation", content=ENTRUSTED, headers=headers).status_code == 422
        assert api.get(f"/api/v1/{ENTRUSTED}?name={ENTRUSTED}", headers=headers).status_code == 404
        unproven = headers | {"Authorization": f"Bearer {ENTRUSTED}"}
        assert api.get("/api/v1/cases", headers=unproven).status_code == 401
        assert api.get(f"/api/v1/audit/events?from={ENTRUSTED}", headers=headers).status_code == 422


def said_of(name: str) -> dict[str, str]:
    plain = "".join(each for each in name if each.isalnum())
    return {"name": name, "email": f"{plain}@example.org", "handle": f"@{plain}"}


def by_the_search(canary: Canary) -> None:
    with keys_of(canary) as keys:
        index = PatronIndex(keys)
        index.note(canary.patron, said_of(marker("name")))
        index.note(canary.other, {"name": "Another reader"})
        assert index.find(said_of(marker("name"))) == [canary.patron]


def by_the_patrons_door(canary: Canary) -> None:
    said = {"place": "durant", **said_of(marker("patron's door")), "telephone": "662 555 0177"}
    with canary.api as api:
        consent = api.post("/api/v1/patron/consents", json={"form": "adult", "note": marker("note"), **said})
        assert consent.status_code == 202, consent.text
        revocation = api.post("/api/v1/patron/revocations", json={"what": marker("revocation"), **said})
        assert revocation.status_code == 202, revocation.text
        for wrong in ({ENTRUSTED: marker("a field")}, {"place": ENTRUSTED, "what": [marker("no text")], "name": 1}):
            assert api.post("/api/v1/patron/revocations", json=wrong).status_code == 422
        for link in (revocation.json()["status"], f"/api/v1/patron/consents/{uuid4()}/{ENTRUSTED}"):
            assert ENTRUSTED not in api.get(link).text
    given, asked = (f"{stem}-{case_in(answer)}" for stem, answer in (("consent", consent), ("revocation", revocation)))
    assert canary.act(given, "RejectConsent", BRANCH, {"reason": marker("rejected")})["recorded"]
    why = {"why": "not_identified", "reason": marker("declined")}
    assert canary.act(asked, "DeclineRevocation", COORDINATOR, why)["recorded"]
    until(lambda: any(each["case"] == asked for each in canary.system.json("notices")))
    canary.has_over(given, asked)
    with canary.api as api:
        found = api.post("/api/v1/patrons/find", json=said_of(marker("find")), headers=canary.headers(COORDINATOR))
        assert (found.status_code, ENTRUSTED in found.text) == (200, False)


def by_a_picture(canary: Canary) -> None:
    """What a camera or its owner wrote beside the picture goes no further."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription], exif[ExifTags.Base.Artist] = marker("picture"), marker("photographer")
    file = canary.kept / "picture.jpg"
    Image.new("RGB", (64, 64), "white").save(file, exif=exif, comment=marker("comment"))
    taken = {
        "taken_at": datetime.now(UTC).isoformat(), "taken_by": BRANCH, "place": "durant",
        "persons": [{"patron": canary.other, "who": marker("who is pictured")}],
    }  # fmt: skip
    answer = canary.system.json("request", "photo_permission", "-", "--as", BRANCH, given=taken)
    assert answer.get("recorded"), answer
    added = canary.cli("picture", "add", answer["case"], str(file), "--as", BRANCH)
    assert added.exit_code == 0, added.stdout + added.stderr
    taken["persons"] = [{"who": marker("who is erased"), "patron": canary.patron}]
    theirs = canary.system.json("request", "photo_permission", "-", "--as", BRANCH, given=taken)
    canary.theirs = theirs["case"]
    assert canary.cli("picture", "add", canary.theirs, str(file), "--as", BRANCH).exit_code == 0
    assert canary.act(canary.theirs, "SetPictureAside", BRANCH, {"reason": marker("set aside")})["recorded"]
    file.unlink()
    canary.picture = answer["case"]
    later = {"person": {"patron": canary.patron, "who": marker("who was recognised later")}}
    assert canary.act(canary.picture, "IdentifyPerson", BRANCH, later)["recorded"]
    assert canary.act(canary.picture, "SetPictureAside", BRANCH, {"reason": marker("set aside")})["recorded"]


def case_in(answer: httpx.Response) -> str:
    """Of the link to how it stands."""
    return str(answer.json()["status"].split("/")[-2])


class keys_of:  # noqa: N801  # read as a word of the test
    def __init__(self, canary: Canary) -> None:
        self.store = KeyStore(canary.settings.keeper_url, key_encryption_key(canary.settings))

    def __enter__(self) -> KeyStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def another_patron(canary: Canary) -> None:
    request = canary.system.a_request(purpose="Of another patron", audience="Stays")
    answer = canary.system.json(
        "request", "account_creation", "-", "--as", BRANCH, "--concerns", canary.other, given=request
    )
    canary.stays = answer["case"]


# before


def test_nothing_that_was_entrusted_stands_in_clear_anywhere(canary: Canary) -> None:
    for argv in (("audit", "trail", "--json"), ("notices", "--json"), ("status", "--json")):
        assert ENTRUSTED not in canary.cli(*argv).stdout
    with canary.api as api:
        headers = canary.headers(AUDITOR)
        for case in (canary.case, canary.held_case):
            assert ENTRUSTED not in api.get(f"/api/v1/cases/{case}", headers=headers).text
        assert ENTRUSTED not in api.get("/api/v1/audit/events?limit=10000", headers=headers).text
        # whoever has to do with the case reads it, so it was there to be found
        shown = api.get(f"/api/v1/cases/{canary.case}", headers=canary.headers(COORDINATOR))
        assert marker("cli purpose") in shown.text
    canary.on_the_disk()
    assert where(ENTRUSTED, *canary.folders, canary.taken_away("before")) == {}


def test_what_was_sent_in_clear_past_the_doors_left_no_trace_outside_temporal(canary: Canary) -> None:
    canary.on_the_disk()
    outside = [place_of_cluster(canary.system.data, None), canary.system.data / "logs", canary.system.data / "mail"]
    assert where(IN_A_PLAIN_SIGNAL, *(each for each in outside if each.exists())) == {}
    assert where(IN_A_PLAIN_SIGNAL, canary.system.data / "temporal")  # so the search would find it


def test_each_opening_was_on_record_first(canary: Canary) -> None:
    trail = canary.system.json("audit", "trail", "--case", canary.case)
    opened = [each for each in trail if each["kind"] == "openings.SealedOpened"]
    with canary.api as api:
        shown = api.get(
            f"/api/v1/cases/{canary.case}?purpose=patron_asked", headers=canary.headers(COORDINATOR)
        )
        assert marker("reason") in shown.text
    until(lambda: len(openings_of(canary)) > len(opened))
    last = openings_of(canary)[-1]
    assert (last["actor"], last["fact"]["purpose"], last["fact"]["patrons"], last["clauses"]) == (
        COORDINATOR, "patron_asked", [canary.patron], ["PR-12"],
    )  # fmt: skip


def openings_of(canary: Canary) -> list[dict[str, Any]]:
    trail = canary.system.json("audit", "trail", "--case", canary.case)
    return [each for each in trail if each["kind"] == "openings.SealedOpened"]


def test_a_picture_of_theirs_is_opened_at_the_door_and_that_is_on_record(canary: Canary) -> None:
    with canary.api as api:
        shown = api.get(f"/api/v1/pictures/{canary.theirs}", headers=canary.headers(BRANCH))
    assert (shown.status_code, ENTRUSTED.encode() in shown.content) == (200, False)
    assert until(lambda: files_opened(canary))[-1]["fact"]["patrons"] == [canary.patron]


def files_opened(canary: Canary) -> list[dict[str, Any]]:
    trail = canary.system.json("audit", "trail", "--case", canary.theirs)
    return [each for each in trail if each["kind"] == "openings.FileOpened"]


# the erasure


@pytest.fixture(scope="module")
def gone(canary: Canary) -> Gone:
    """Asked for by the branch, agreed to by two others, done by the system; and what was kept from before and after."""
    before, kek, events = canary.copied("before"), key_encryption_key(canary.settings).newest(), canary.events()
    erasures = [forgotten(canary, each) for each in canary.erased]
    after = canary.copied("after")
    candidates = wrapped_keys_in(before, after, thoroughly=canary.tables_of_keys())
    return Gone(erasures, before, kek, events, candidates)


def forgotten(canary: Canary, patron: str) -> str:
    ask = {"patron": patron, "asked_by": "patron", "reason": marker("erasure")}
    erasure = str(canary.system.json("request", "erasure", "-", "--as", BRANCH, given=ask)["case"])
    until(lambda: stage_of(canary, erasure) == "first_decision")
    for person in (COORDINATOR, DIRECTOR):
        assert canary.act(erasure, "AgreeToErase", person)["recorded"]
    until(lambda: stage_of(canary, erasure) == "erased")
    return erasure


class Gone(NamedTuple):
    """`before` is every byte of then; `candidates` whatever may be a wrapped key, of then and of now."""

    erasures: list[str]
    before: Path
    kek: KeyEncryptionKey
    events: list[tuple[int, bytes]]
    candidates: set[bytes]


def stage_of(canary: Canary, case: str) -> str:
    return str(canary.system.json("case", "show", case)["stage"])


def test_nothing_stands_in_clear_afterwards_either(canary: Canary, gone: Gone) -> None:
    canary.on_the_disk()
    assert where(ENTRUSTED, *canary.folders, canary.taken_away("after")) == {}


def test_every_page_shows_that_it_was_erased_and_the_other_patrons_stay(canary: Canary, gone: Gone) -> None:
    for case in (canary.case, canary.held_case, canary.picture, *canary.closed, *gone.erasures):
        shown = canary.cli("case", "show", case)
        assert (shown.exit_code, ENTRUSTED in shown.stdout) == (0, False)
        assert ERASED in shown.stdout
        with canary.api as api:
            page = api.get(f"/api/v1/cases/{case}", headers=canary.headers(COORDINATOR))
        assert (page.status_code, ERASED in page.text, ENTRUSTED in page.text) == (200, True, False)
    assert "Of another patron" in canary.cli("case", "show", canary.stays).stdout
    with keys_of(canary) as keys:
        assert PatronIndex(keys).find(said_of(marker("name"))) == []
        assert PatronIndex(keys).find({"name": "another READER"}) == [canary.other]


def test_their_pictures_are_said_to_be_erased_at_both_doors_and_nobody_opens_them(
    canary: Canary, gone: Gone
) -> None:
    opened, out = len(files_opened(canary)), canary.kept / "taken-out.jpg"
    for case in (canary.theirs, canary.picture):
        with canary.api as api:
            told = api.get(f"/api/v1/pictures/{case}", headers=canary.headers(BRANCH))
        assert (told.status_code, told.json()["clauses"]) == (410, ["PR-12"])
        assert told.json()["because"].startswith(ERASED)
        argv = ("picture", "take-out", case, "--out", str(out))
        for taken in (canary.cli(*argv), canary.system.far(BRANCH, *argv)):
            assert (taken.exit_code, ERASED in taken.output) == (3, True), taken.output
    assert not out.exists()
    assert len(files_opened(canary)) == opened


def test_the_log_is_whole_and_nothing_in_it_was_changed(canary: Canary, gone: Gone) -> None:
    assert canary.events()[: len(gone.events)] == gone.events
    assert canary.system.json("audit", "verify")["findings"] == []
    assert all(not each["differences"] for each in canary.system.json("audit", "replay")["projections"])


def test_the_proof_is_in_the_trail(canary: Canary, gone: Gone) -> None:
    trail = until(lambda: [
        each for case in gone.erasures for each in canary.system.json("audit", "trail", "--case", case)
        if each["kind"] == "erasure.PatronErased"
    ])  # fmt: skip
    now = key_encryption_key(canary.settings).newest()
    proofs = [each["fact"] for each in trail]
    assert [each["patron"] for each in proofs] == list(canary.erased)
    before, after = ([each[name] for each in proofs] for name in ("kek_before", "kek_after"))
    assert [*before, now.id] == [gone.kek.id, *after]
    assert all(each["agreed_by"] == [COORDINATOR, DIRECTOR] for each in proofs)


def test_nothing_more_is_taken_in_for_whoever_was_erased(canary: Canary, gone: Gone) -> None:
    answer = canary.act("delegation", "Delegate", COORDINATOR, {"reason": "again"}, canary.patron)
    assert answer["malformed"]["field"] == "concerns"


# whoever has every byte, from before and after, and the key-encryption key of today


def test_with_every_byte_and_todays_key_encryption_key_nothing_can_be_opened(canary: Canary, gone: Gone) -> None:
    found = unwrapped_by(key_encryption_key(canary.settings).newest(), gone.candidates)
    of_before = unwrapped_by(gone.kek, gone.candidates)
    assert found, "today's keys were not found, so this search is worth nothing"
    sealed = sealed_for(canary)
    assert {patron for patron in canary.erased for each, *_ in sealed if patron_key(patron) in each.under} == {
        *canary.erased
    }
    # the same search with the key that was destroyed opens them all: it is that key alone that was in the way
    assert [each[1:] for each in sealed if not opens(each, of_before | found)] == []
    assert [each[1:] for each in sealed if opens(each, found)] == []
    assert the_search_gives_away(of_before, canary, gone.before)
    assert not the_search_gives_away(found, canary, gone.before)


def test_no_copy_of_data_carries_a_key_encryption_key_of_then_or_of_now(canary: Canary, gone: Gone) -> None:
    now = key_encryption_key(canary.settings).newest()
    looked_at = 0
    for file, content in contents_of(canary.kept / "before", canary.kept / "after"):
        looked_at += 1
        for key in (gone.kek, now):
            written = (key._secret, base64.b64encode(key._secret), key._secret.hex().encode())
            assert not any(form in content for form in written), file
    assert looked_at


Found = tuple[Sealed, str, str]


def sealed_for(canary: Canary) -> list[Found]:
    """Every text in the log that is sealed under the key of someone who was erased, or in the case of the picture that
    one of them is in; with the command and the field it was sealed for."""
    found: dict[str, Found] = {}

    def look(value: Any, command: str, at: str) -> None:
        if isinstance(value, dict) and set(value) == set(Sealed.model_fields):
            about = {*map(patron_key, canary.erased), case_key(canary.picture)}
            if about & set(value["under"]):
                found[value["ciphertext"]] = (Sealed.model_validate(value), command, at)
        elif isinstance(value, dict):
            for name, each in value.items():
                look(each, command, f"{at}.{name}".lstrip("."))
        elif isinstance(value, list):
            for nth, each in enumerate(value):
                look(each, command, f"{at}.{nth}")

    for _, state in canary.events():
        envelope = json.loads(state)
        look((envelope["command"] or {}).get("fields"), envelope["command_id"], "")
    return list(found.values())


def opens(one: Found, keys: set[bytes]) -> bool:
    """Whether these keys, in whatever order, open it."""
    sealed, command, at = one
    try:
        return bool(Opening(fitting(sealed, keys)).text(sealed, command, at))
    except CannotOpen:
        return False


def fitting(sealed: Sealed | Evidence, keys: set[bytes]) -> dict[str, bytes]:
    """Of these keys the one for each layer that the data key is wrapped in, as far as there is one."""
    fit: dict[str, bytes] = {}
    inner = base64.b64decode(sealed.wrapped)
    for key_id in reversed(sealed.under):
        for key in keys:
            try:
                inner, fit[key_id] = aes_key_unwrap(key, inner), key
            except InvalidUnwrap:
                continue
            break
    return fit


def the_search_gives_away(keys: set[bytes], canary: Canary, copy: Path) -> bool:
    """Whether a guess at a name can be tested against the hashes of before."""
    (name,) = normalised({"name": marker("name")}).values()
    hashes = [digest(key, "name", name) for key in keys]
    tables = canary.tables_of_keys()
    content = b"".join(each.read_bytes() for each in copy.rglob("*") if each.name in tables)
    return any(each in content for each in hashes)


def test_nor_can_the_evidence_file_nor_the_picture_in_which_they_were_recognised_later(
    canary: Canary, gone: Gone
) -> None:
    assert canary.evidence is not None
    assert canary.evidence.under == (case_key(canary.case), patron_key(canary.patron))
    picture = picture_of(canary)
    assert picture.under == (case_key(canary.picture), patron_key(canary.other))
    found = unwrapped_by(key_encryption_key(canary.settings).newest(), gone.candidates)
    of_before = unwrapped_by(gone.kek, gone.candidates)
    for evidence, begins in ((canary.evidence, marker("evidence").encode()), (picture, b"\xff\xd8\xff")):
        kept = next((gone.before).rglob(evidence.sha256)).read_bytes()
        assert Opening(fitting(evidence, of_before | found)).file(evidence, kept).startswith(begins)
        with pytest.raises(CannotOpen):
            Opening(fitting(evidence, found)).file(evidence, kept)


def picture_of(canary: Canary) -> Evidence:
    envelopes = [json.loads(state) for _, state in canary.events()]
    of_the_picture = [each for each in envelopes if each["case"] == canary.picture]
    (added,) = (each["fact"] for each in of_the_picture if each["kind"] == "photo_permission.PictureAdded")
    return Evidence.model_validate(added["evidence"][0])
