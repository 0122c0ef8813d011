"""What must hold before a revocation is accepted or added to.

PU-6, PR-13: it is about what is theirs. PU-3: a guardian speaks for a minor, and no longer once the minor has come of
age. PR-12: nobody learns here what is on record of somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.clauses import PR_12, PR_13, PU_3, PU_6
from domain.facts import Refused, every_one_of
from domain.revocation_messages import CheckIdentity

if TYPE_CHECKING:
    from domain.library import Library
    from domain.revocation import RevocationCase


def what_is_asked_is_theirs(check: CheckIdentity, case: RevocationCase, library: Library) -> None:
    if not check.consents and not check.pictures:
        raise Refused(PU_6, "it is not said for what they ask", "consents or pictures, or decline the request")
    each_consent = [lambda id_=id_: that_consent_is_theirs(id_, check, case, library) for id_ in check.consents]
    each_picture = [lambda id_=id_: they_are_in_that_picture(id_, check, library) for id_ in check.pictures]
    every_one_of(*each_consent, *each_picture)


def that_consent_is_theirs(id_: str, check: CheckIdentity, case: RevocationCase, library: Library) -> None:
    consent = library.consent(id_)
    theirs = consent is not None and check.on_record in (consent.patron, consent.guardian)
    if consent is None or not theirs:
        # the same words whether or not there is one: it is nobody else's business
        raise Refused((PU_6, PR_12), f"{id_} is not a consent of patron {check.on_record}", "one of theirs")
    if consent.accepted_in:
        raise Refused(PU_6, f"{id_} was revoked before, in {consent.accepted_in}", "leave it out, or decline")
    if consent.asked_in not in ("", case.case):
        raise Refused(PU_6, f"{id_} is being revoked, in {consent.asked_in}", "go on in that case, or decline")
    come_of_age = consent.of_age_at is not None and library.at >= consent.of_age_at
    if check.on_record == consent.guardian and come_of_age:
        because = f"whom {id_} is about has come of age, and speaks for themselves"
        raise Refused((PU_3, PU_6), because, "the request of the person concerned, or decline")


def they_are_in_that_picture(id_: str, check: CheckIdentity, library: Library) -> None:
    content = library.content(id_)
    if content is None or check.on_record not in [each.patron for each in content.persons]:
        raise Refused((PR_13, PR_12), f"patron {check.on_record} is not in {id_}", "a picture they are in")
    if content.withdrawal_of(check.on_record):
        raise Refused(PU_6, f"its use was revoked before, of {id_}", "leave it out, or decline")


def it_is_about_that(used: str, case: RevocationCase, library: Library) -> None:
    content = library.content(used)
    rests_on = [each.consent for each in content.bases] if content else []
    of_a_consent = [each for id_ in case.consents if (found := library.consent(id_)) for each in found.contents]
    if used not in (*case.pictures, *of_a_consent) and not set(rests_on) & set(case.consents):
        raise Refused(PU_6, f"the revocation is not about {used}", "content that it is about")
