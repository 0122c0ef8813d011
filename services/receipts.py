"""A patron's receipt: their consent as ISO/IEC TS 27560 describes such a record, and how to take it back."""

from __future__ import annotations

from html import escape
from typing import Any

from domain.consent import ConsentCase, Stage
from domain.patron_basis import Form
from domain.policy import Policy

SCHEMA = "ISO/IEC TS 27560:2023 consent receipt"
WHAT = {
    Form.SUBMISSION: "what you sent to the library",
    Form.ADULT: "pictures in which you can be recognised",
    Form.GUARDIAN: "pictures in which your child can be recognised",
    Form.EVENT_NOTICE: "pictures taken at a program under a public notice",
}
DATA = {
    Form.SUBMISSION: ["content you sent in", "the name or handle you gave with it"],
    Form.ADULT: ["your image"],
    Form.GUARDIAN: ["your child's image"],
    Form.EVENT_NOTICE: ["images of people at the program"],
}
CLAUSE = {Form.SUBMISSION: "PU-6", Form.ADULT: "PR-13", Form.GUARDIAN: "PR-13", Form.EVENT_NOTICE: "PR-13"}
HOW_IT_STANDS = {
    Stage.RECORDED: "received; staff look at it before anything is published",
    Stage.ACTIVE: "in force",
    Stage.REVOCATION_ASKED: "in force; a request to end it is being looked at",
    Stage.REVOKING: "ended by you; what was published is being removed",
    Stage.RENEWAL_DUE: "not in force: the person has come of age and is asked themselves",
    Stage.REVOKED: "ended by you",
    Stage.EXPIRED: "over; nothing new is published under it",
    Stage.TELLING: "not taken up by the library; nothing is published under it",
    Stage.REJECTED: "not taken up by the library; nothing is published under it",
}


def receipt(case: ConsentCase, policy: Policy, base_url: str = "") -> dict[str, Any]:
    """Nothing in it is sealed and nobody is named: whoever holds it knows who they are."""
    consent = case.consent
    return {
        "schema_version": SCHEMA,
        "record_id": case.case,
        "pii_principal_id": consent.patron,
        "given_by": "parent or guardian" if consent.guardian else "the person themselves",
        "consent_status": HOW_IT_STANDS[case.stage],
        "event": {
            "type": "explicit", "method": consent.obtained.value, "time": consent.given_at.isoformat(),
            "language": consent.language,
        },
        "validity": {
            "from": case.since.isoformat() if case.since else None,
            "until": case.until.isoformat() if case.until else None,
            "renewal": consent.of_age_in.isoformat() if consent.of_age_in else None,
        },
        "processing": {
            "purposes": ["publication on the library's own accounts and in its own printed matter"],
            "purpose_of": WHAT[consent.form],
            "lawful_basis": "consent",
            "pii_information": DATA[consent.form],
            "limited_to_contents": list(consent.contents),
            "limited_to_places": list(consent.targets),
            "recipients": ["readers of those accounts and that print; nobody else is given it"],
            "jurisdiction": "US-MS",
            "storage": "sealed, under a key of the person's own",
        },
        "controller": {
            "name": policy.title.partition(" of the ")[2] or policy.title,
            "contact": policy.contact.model_dump(),
            "website": policy.website,
        },
        "notice": {"policy": policy.policy_url, "version": policy.version, "clause": CLAUSE[consent.form]},
        "withdrawal": {
            "how": how_to_take_it_back(policy),
            "online": f"{base_url.rstrip('/')}/api/v1/patron/revocations",
            "needs": "no number and no reason; only that it is in writing and that it is you",
        },
    }  # fmt: skip


def how_to_take_it_back(policy: Policy) -> str:
    contact = policy.contact
    return (
        f"Write to {contact.email}, or to {contact.office}, or use the form online; any branch takes a letter too. "
        f"Nothing new is published from the moment it is accepted, and what stands is removed. "
        f"Questions: {contact.telephone}."
    )


def page(told: dict[str, Any]) -> str:
    """The same to read: one page without scripts or anything from elsewhere."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in lines_of(told)
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Receipt of your consent</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='robots' content='noindex'></head><body><main><h1>Receipt of your consent</h1>"
        f"<table>{rows}</table><h2>How to take it back</h2><p>{escape(told['withdrawal']['how'])}</p>"
        "</main></body></html>"
    )


def lines_of(told: dict[str, Any]) -> list[tuple[str, str]]:
    validity, processing = told["validity"], told["processing"]
    return [
        ("Number of this receipt", told["record_id"]),
        ("How it stands", told["consent_status"]),
        ("Given by", told["given_by"]),
        ("Given on", told["event"]["time"]),
        ("For", f"{processing['purposes'][0]}: {processing['purpose_of']}"),
        ("Only these contents", ", ".join(processing["limited_to_contents"]) or "no limit"),
        ("Only these places", ", ".join(processing["limited_to_places"]) or "no limit but the library's own"),
        ("Holds until", validity["until"] or "you take it back"),
        ("Library", told["controller"]["name"]),
        ("Policy", f"{told['notice']['policy']} ({told['notice']['version']}, {told['notice']['clause']})"),
    ]
