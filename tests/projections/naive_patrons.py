"""What the registers of patrons should hold, by folds of plain dictionaries, kinds by name."""

from __future__ import annotations

from typing import Any

from tests.projections.naive import Event, moment, name

CONSENT_STANDS = {
    "ConsentRecorded": "recorded", "ConsentActive": "active", "ConsentRenewed": "active", "ConsentKept": "active",
    "RevocationKnown": "revocation_asked", "ConsentRevoking": "revoking", "RenewalFellDue": "renewal_due",
    "ConsentRevoked": "revoked", "ConsentExpired": "expired", "ConsentRejected": "rejected",
}  # fmt: skip
REVOCATION_STANDS = {
    "RevocationAsked": "identity_check", "IdentityChecked": "acceptance", "RevocationAccepted": "removing",
    "RemovalAsked": "removing", "UsesRemoved": "letter", "RevocationCompleted": "completed",
    "RevocationDeclined": "declined", "PersonTold": "declined",
}  # fmt: skip


def of(events: list[Event], process: str) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for each in events:
        if each["case"].startswith(f"{process}-"):
            found.setdefault(each["case"], []).append(each)
    return found


def consents_of(events: list[Event]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for case, told in of(events, "consent").items():
        row: dict[str, Any] = {"case_id": case, "opted_out": [], "revocation": "", "shown": None, "since": None}
        row |= {"until": None, "of_age_at": None, "opened_at": moment(told[0]["at"])}
        for each in told:
            fact = each["fact"]
            row["standing"] = CONSENT_STANDS.get(name(each), row.get("standing"))
            row |= {"updated_at": moment(each["at"]), "log_position": each["log_position"]}
            match name(each):
                case "ConsentRecorded":
                    same = ("form", "place", "patron", "guardian", "obtained", "contents", "targets")
                    row |= {column: fact[column] for column in same}
                    row |= {"given_at": moment(fact["given_at"]), "program": (fact["program"] or {}).get("name")}
                case "ConsentActive" | "ConsentRenewed":
                    row |= {column: moment(fact[column]) for column in ("since", "until", "of_age_at")}
                    row |= {"form": fact["form"], "shown": fact["shown"]}
                case "OptedOut":
                    row["opted_out"] = [*row["opted_out"], fact["patron"]]
                case "RevocationKnown" | "ConsentRevoking":
                    row["revocation"] = fact["revocation"]
                case "ConsentKept":
                    row["revocation"] = ""
        found[case] = row
    return found


def uses_of(events: list[Event]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in events:
        fact = each["fact"]
        match each["kind"]:
            case "uses.UseRecorded" | "revocation.UseFound":
                found.setdefault(fact["use"], {
                    "use_id": fact["use"], "content": fact["used"], "target": fact["target"],
                    "since": moment(fact["since"]), "consents": [basis["consent"] for basis in fact["bases"]],
                    "patrons": [basis["patron"] for basis in fact["bases"]], "recorded_by": each["actor"]["id"],
                    "recorded_in": each["case"], "ended_at": None, "ended_by": None, "ended_in": None,
                    "log_position": each["log_position"],
                })  # fmt: skip
            case "uses.UseEnded" | "revocation.RemovalConfirmed" | "revocation.RemovalImpossible":
                row = found[fact["use"]]
                if row["ended_at"] is None:
                    row |= {"ended_at": moment(each["at"]), "ended_by": each["actor"]["id"], "ended_in": each["case"]}
                    row["log_position"] = each["log_position"]
    return found


def revocations_of(events: list[Event]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for case, told in of(events, "revocation").items():
        row: dict[str, Any] = {"case_id": case, "consents": [], "pictures": [], "asked_at": None, "accepted": False}
        removals: dict[str, dict[str, Any]] = {}
        for each in told:
            fact = each["fact"]
            row["stage"] = REVOCATION_STANDS.get(name(each), row.get("stage"))
            if name(each) == "RevocationDeclined" and fact["to_be_told"]:
                row["stage"] = "telling"
            row |= {"updated_at": moment(each["at"]), "log_position": each["log_position"]}
            match name(each):
                case "RevocationAsked":
                    row |= {column: fact[column] for column in ("place", "received", "patron")}
                case "IdentityChecked" | "RevocationAccepted":
                    row |= {column: fact[column] for column in ("patron", "consents", "pictures")}
                    row["accepted"] = name(each) == "RevocationAccepted"
                case "Asked":
                    row["asked_at"] = row["asked_at"] or moment(fact["since"])
                case "RemovalAsked":
                    removals[fact["use"]] = {"how": "open", "escalated": False, "overdue": False}
                case "RemovalEscalated":
                    removals[fact["use"]]["overdue" if fact["nth"] == 2 else "escalated"] = True
                case "RemovalConfirmed" | "UseGone":
                    removals[fact["use"]]["how"] = "removed"
                case "RemovalImpossible":
                    removals[fact["use"]]["how"] = "impossible"
        left = [each for each in removals.values() if each["how"] == "open"]
        how = [each["how"] for each in removals.values()]
        found[case] = row | {
            "uses_found": len(removals), "removed": how.count("removed"), "impossible": how.count("impossible"),
            "to_remove": len(left), "escalated": sum(each["escalated"] for each in left),
            "overdue": sum(each["overdue"] for each in left), "closed": row["stage"] in ("completed", "declined"),
        }  # fmt: skip
    return found
