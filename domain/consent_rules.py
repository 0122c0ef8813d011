"""What must hold before a consent is recorded, confirmed or proven.

PU-6: what was sent in has one basis. PR-13: in writing, by whoever may give it; a notice for a program, seen before and
during it. PU-3: for a minor the guardian speaks. PR-12: nobody is recorded who was forgotten.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from domain.clauses import PR_13, PU_3, PU_6
from domain.consent_messages import ConfirmConsent, Obtained, OptOut, ProveNotice, RecordConsent, When
from domain.facts import Refused, every_one_of
from domain.patron_basis import Form, a_place_of_the_library, nobody_who_was_forgotten

if TYPE_CHECKING:
    from domain.consent import ConsentCase
    from domain.library import Library


def what_is_recorded_can_be(record: RecordConsent, case: ConsentCase, library: Library) -> None:
    every_one_of(
        lambda: a_place_of_the_library(record.place, PR_13, library),
        lambda: someone_gave_it_unless_it_is_a_notice(record),
        lambda: a_minor_does_not_speak_for_themselves(record),
        lambda: when_a_minor_comes_of_age_is_known(record, library),
        lambda: a_submission_names_what_was_sent(record),
        lambda: nothing_has_two_bases(record, case, library),
        lambda: a_notice_is_for_a_program(record),
        lambda: a_term_that_is_to_come(record, library),
        lambda: given_already(record, library),
        lambda: nobody_who_was_forgotten((record.patron, record.guardian), library),
    )


def someone_gave_it_unless_it_is_a_notice(record: RecordConsent) -> None:
    if (record.form is Form.EVENT_NOTICE) is (record.patron is not None):
        because = "a notice is to everyone" if record.patron else "it is not said whose consent it is"
        raise Refused(PR_13, because, "a patron for every form but the notice")
    if record.patron is not None and record.patron == record.guardian:
        raise Refused(PU_3, "nobody is their own guardian", "the guardian's own number")


def a_minor_does_not_speak_for_themselves(record: RecordConsent) -> None:
    by_guardian = record.guardian is not None
    if record.minor and not by_guardian:
        because = "a minor cannot give this consent for themselves"
        raise Refused((PU_3, PR_13), because, "the written permission of a parent or guardian")
    if record.form is Form.GUARDIAN and not record.minor:
        raise Refused((PU_3, PR_13), "a guardian's permission is for a minor", "the person's own consent")
    if record.form is Form.ADULT and (record.minor or by_guardian):
        raise Refused((PU_3, PR_13), "the form is an adult's, and the person is a minor", "the guardian's form")


def when_a_minor_comes_of_age_is_known(record: RecordConsent, library: Library) -> None:
    if not record.minor:
        if record.of_age_in is not None:
            raise Refused(PU_3, "someone of age does not come of age", "leave that out")
        return
    years = library.policy.settings.age_of_majority_years.value
    today = library.today
    latest = date(today.year + years, today.month, 1)
    if record.of_age_in is None or record.of_age_in.day != 1:
        because = "it is not known in which month the minor comes of age"
        raise Refused(PU_3, because, "the day of birth, of which the month of coming of age is kept")
    if record.of_age_in > latest:
        raise Refused(PU_3, "the day of birth is still to come", f"one by which they are under {years} now")
    if record.of_age_in <= today.replace(day=1):
        raise Refused(PU_3, "the person has come of age, or does this month", "the person's own consent")


def a_submission_names_what_was_sent(record: RecordConsent) -> None:
    if record.form is Form.SUBMISSION and not record.contents:
        raise Refused(PU_6, "it is not said what was sent in", "the content's name, such as content:poster-2026-03")
    if record.form is Form.SUBMISSION and any(not each.startswith("content:") for each in record.contents):
        raise Refused(PU_6, "a picture that the library took was not sent in", "contents named content:…")


def nothing_has_two_bases(record: RecordConsent, case: ConsentCase, library: Library) -> None:
    for content in record.contents if record.form is Form.SUBMISSION else ():
        holder = library.holder_of(f"basis:{content}")
        if holder not in (None, case.case):
            raise Refused(PU_6, f"{content} rests on {holder} already", "another name for other content")


def a_notice_is_for_a_program(record: RecordConsent) -> None:
    if (record.form is Form.EVENT_NOTICE) is not (record.program is not None):
        because = "it is not said for which program" if record.program is None else "only a notice is for a program"
        raise Refused(PR_13, because, "the program, with its beginning and its end, for a notice alone")
    if record.program is not None and record.program.ends <= record.program.starts:
        raise Refused(PR_13, "the program ends before it begins", "an end after its beginning")


def a_term_that_is_to_come(record: RecordConsent, library: Library) -> None:
    if record.until is not None and record.until <= library.today:
        raise Refused(PR_13, f"{record.until} is over", "a last day that is still to come, or none")


def given_already(record: RecordConsent, library: Library) -> None:
    if record.given_at is not None and record.given_at > library.at:
        raise Refused(PR_13, "it would be given in the future", "when it was given")


def it_can_be_confirmed(confirm: ConfirmConsent, case: ConsentCase) -> None:
    every_one_of(
        lambda: a_notice_is_proven_not_confirmed(case),
        lambda: the_writing_is_kept(confirm, case),
        lambda: whoever_signs_as_guardian_is_one(confirm, case),
    )


def a_notice_is_proven_not_confirmed(case: ConsentCase) -> None:
    if case.consent.form is Form.EVENT_NOTICE:
        raise Refused(PR_13, "a notice counts once it was seen before and during the program", "ProveNotice, twice")


def the_writing_is_kept(confirm: ConfirmConsent, case: ConsentCase) -> None:
    """What came by the web form is on record in this case itself."""
    if case.consent.obtained is not Obtained.WEB_FORM and not confirm.evidence:
        raise Refused(PR_13, "the writing is not on file", "`evidence`: a picture of it, kept for this case")


def whoever_signs_as_guardian_is_one(confirm: ConfirmConsent, case: ConsentCase) -> None:
    if case.consent.guardian is not None and not confirm.guardian_shown:
        raise Refused((PU_3, PR_13), "it is not shown that they are the guardian", "guardian_shown, once it is")


def a_proof_of_the_notice(proof: ProveNotice, case: ConsentCase, library: Library) -> None:
    program = case.consent.program
    if program is None:
        raise Refused(PR_13, "only a notice is proven so", "ConfirmConsent")
    if case.proven(proof.when):
        raise Refused(PR_13, f"the notice is proven for {proof.when} already", "the other moment")
    if proof.seen_at > library.at:
        raise Refused(PR_13, "that moment is still to come", "when the notice was seen")
    if proof.when is When.BEFORE and proof.seen_at >= program.starts:
        raise Refused(PR_13, "the program had begun by then", f"a moment before {program.starts.isoformat()}")
    if proof.when is When.DURING and not program.starts <= proof.seen_at <= program.ends:
        raise Refused(PR_13, "that is not within the program", "a moment from its beginning to its end")


def on_the_day_of_the_program(opt_out: OptOut, case: ConsentCase, library: Library) -> None:
    program = case.consent.program
    if program is None:
        raise Refused(PR_13, "there is no notice to opt out of", "a revocation, for a consent of one's own")
    if opt_out.patron in case.opted_out:
        raise Refused(PR_13, "that patron has opted out already", "nothing")
    first, last = (library.calendar.local(each).date() for each in (program.starts, program.ends))
    if not first <= library.today <= last:
        raise Refused(PR_13, f"the program is on {first}, and opting out is for the day", "a revocation, afterwards")
