"""What the naive folds of the tests have in common: events as plain dictionaries, and which projection each folds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from projections.projection import Projection

Event = dict[str, Any]
Test = Callable[..., None]

FOLDED: dict[type[Projection], list[str]] = {}
STREAM, FACT = "stream", "fact"
CASES = (
    "account_creation-", "consent-", "erasure-", "photo_permission-", "posting_rights-", "revocation-", "staff_change-",
)  # fmt: skip
ENDS_ITS_CASE = (
    "account_creation.AccountRefused", "account_creation.RequestWithdrawn", "account_creation.RequestExpired",
    "consent.ConsentRevoked", "consent.ConsentExpired", "consent.PersonTold",
    "photo_permission.PictureSetAside", "photo_permission.PictureNeverCame",
    "posting_rights.RightsRevoked", "posting_rights.RightsLapsed", "posting_rights.RightsExpired",
    "posting_rights.RightsSuperseded", "posting_rights.RightsRefused", "posting_rights.RequestWithdrawn",
    "posting_rights.RequestExpired", "revocation.RevocationCompleted", "revocation.PersonTold",
    "erasure.ErasureRefused", "erasure.ErasureWithdrawn", "erasure.ErasureExpired", "erasure.PatronErased",
)  # fmt: skip

# over with it, unless somebody is still to be told
TURNED_DOWN = ("consent.ConsentRejected", "revocation.RevocationDeclined")


def naive_fold_of(*kinds: type[Projection]) -> Callable[[Test], Test]:
    """The test below holds these projections against a fold of its own."""

    def marked(test: Test) -> Test:
        for kind in kinds:
            FOLDED.setdefault(kind, []).append(test.__name__)
        return test

    return marked


def name(event: Event) -> str:
    return str(event["kind"]).partition(".")[2]


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def standing_of(events: list[Event]) -> dict[tuple[str, str, int], int | None]:
    """For each thing and each case from where it stands, until where: none where it stands to the end."""
    found: dict[tuple[str, str, int], int | None] = {}
    account_of: dict[tuple[str, str, int], str] = {}
    remedies: dict[str, set[str]] = {}
    reported: set[str] = set()

    def ends(at: int, *keys: tuple[str, str]) -> None:
        if keys:
            found.update({each: at for each, until in found.items() if until is None and each[:2] in keys})

    for each in events:
        position, stream, fact = each["log_position"], each["case"], each["fact"]
        if stream.startswith(CASES) and "!" not in stream:
            if each["position"] == 1:
                found[STREAM, stream, position] = None
            if name(each) == "AccountOpened":
                account_of[STREAM, stream, min(key[2] for key in found if key[1] == stream)] = fact["account"]
            turned_down = each["kind"] in TURNED_DOWN and not fact["to_be_told"]
            if turned_down or each["kind"] in ENDS_ITS_CASE or ends_a_staff_change(each, remedies, reported):
                ends(position, (STREAM, stream))
        if not each["touches"]:
            continue
        sets, ended = said_by(each)
        ends(position, *((FACT, key) for key in ended))
        if sets:
            found[FACT, sets, position] = None
        if sets.startswith("seat:"):
            account_of[FACT, sets, position] = fact["account"]
        if each["kind"] == "tests.Closed":
            gone = {key: position for key, account in account_of.items() if account == fact["account"]}
            found.update({key: position for key in gone if found[key] is None})
    return found


def ends_a_staff_change(event: Event, remedies: dict[str, set[str]], reported: set[str]) -> bool:
    """Over once it is reported and nothing is left to be mended or to come."""
    case, fact = event["case"], event["fact"]
    left = remedies.setdefault(case, set())
    match event["kind"].removeprefix("staff_change."):
        case "RemedyOpened":
            left.add(fact["account"])
        case "RemedyClosed":
            left.discard(fact["account"])
            return not left and case in reported
        case "DepartureOffRecord":
            return not left
        case "StaffChangeReported":
            if not fact["last_day"]:
                reported.add(case)
            return not fact["last_day"] and not fact["remedies"]
    return False


def said_by(event: Event) -> tuple[str, tuple[str, ...]]:
    """The key under which an event says something of the library, and those of which it ends what was said."""
    fact, kind = event["fact"], event["kind"]
    if kind.startswith("directory.Person"):
        key = f"person:{fact['person']['id']}"
        return key, (key,)
    match name(event):
        case "FriendsRoleDeclared":
            return f"friends:{fact['person']}", (f"friends:{fact['person']}",)
        case "PolicyAdopted":
            return f"policy:{fact['version']}", ()
        case "CalendarAdopted":
            return "calendar", ("calendar",)
        case "BranchClosed":
            return f"closure:{fact['closure']['id']}", ()
        case "ClosureLifted":
            return "", (f"closure:{fact['closure']}",)
        case "Delegated":
            return f"delegation:{fact['delegation']}", ()
        case "DelegationEnded" | "DelegationLapsed":
            return "", (f"delegation:{fact['delegation']}",)
        case "AdministratorLeft" | "AdministratorSeated":
            return f"seat:{fact['account']}:{fact['administrator']}", ()
        case "SourceSet":
            return f"source:{fact['person']}", (f"source:{fact['person']}",)
        case _:
            return "", ()
