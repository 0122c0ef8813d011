"""What must hold before an account is requested, set up and opened.

PR-1: one account for each handle. PR-2: the logo's file is an official one. PR-3: only what the policy asks where
possible can be waived. PR-4: those who will post are of the staff. PR-7: enough administrators, one of them a
coordinator. PR-18: nobody among them runs a Friends site.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from domain.account_creation_messages import CompleteTask, Wanted, claim, written
from domain.administrators import who_coordinates
from domain.clauses import PR_1, PR_2, PR_4, PR_7, PR_18
from domain.facts import Refused, every_one_of
from domain.policy import SetupTask

if TYPE_CHECKING:
    from domain.account_creation import AccountCase
    from domain.library import Library


def what_is_asked_for_is_possible(wanted: Wanted, case: AccountCase, library: Library) -> None:
    every_one_of(
        lambda: a_known_platform_and_place(wanted, library),
        lambda: administrators_in_order(wanted.administrators, library),
        lambda: those_who_will_post_are_employees(wanted, library),
        lambda: one_account_per_handle(wanted, case, library),
    )


def a_known_platform_and_place(wanted: Wanted, library: Library) -> None:
    policy = library.policy
    if wanted.place not in policy.places:
        raise Refused(PR_2, f"there is no branch {wanted.place}", f"one of {', '.join(sorted(policy.places))}")
    platform = policy.platforms.get(wanted.platform)
    if platform is None:
        raise Refused(PR_1, f"{wanted.platform} is not a platform of the policy", one_of(list(policy.platforms)))
    bare = written(wanted.handle)
    if not platform.allows(bare):
        raise Refused(
            PR_1,
            f"{bare!r} cannot be a handle on {wanted.platform}",
            f"at most {platform.handle_most} characters of the form {platform.handle_pattern}, "
            f"as {platform.handle_example}",
        )


def administrators_in_order(administrators: tuple[str, ...], library: Library) -> None:
    every_one_of(
        lambda: enough_administrators_one_a_coordinator(administrators, library),
        lambda: each_is_an_active_employee(administrators, library),
        lambda: none_administers_a_friends_site(administrators, library),
    )


def administrators_are_still_in_order(case: AccountCase, library: Library) -> None:
    administrators_in_order(case.asked_for.administrators, library)


def enough_administrators_one_a_coordinator(administrators: tuple[str, ...], library: Library) -> None:
    settings = library.policy.settings
    least, distinct = settings.minimum_administrators.value, set(administrators)
    if len(distinct) < least:
        twice = len(distinct) < len(administrators)
        raise Refused(
            PR_7,
            "the same administrator is named twice" if twice else f"{len(distinct)} administrator(s) are too few",
            f"name at least {least} different administrators",
        )
    if len(distinct) < len(administrators):
        raise Refused(PR_7, "the same administrator is named twice", "name each administrator once")
    if len(distinct) > (most := settings.administrators_most.value):
        raise Refused(PR_7, f"{len(distinct)} administrators are too many", f"at most {most}")
    if len(coordinators_among(distinct, library)) < settings.minimum_coordinators.value:
        raise Refused(
            PR_7,
            "no administrator is the Marketing and Access Coordinator or the Youth Services Coordinator",
            f"add one of {', '.join(who_coordinates(library)) or 'them once the post is filled'}",
        )


def coordinators_among(persons: set[str], library: Library) -> set[str]:
    return {person for person in persons if library.roles(person) & set(library.policy.coordinators)}


def each_is_an_active_employee(persons: tuple[str, ...], library: Library) -> None:
    if inactive := [person for person in persons if not library.is_employee(person)]:
        raise Refused(PR_7, f"{', '.join(inactive)}: not an active employee", "name active employees of the directory")


def none_administers_a_friends_site(persons: tuple[str, ...], library: Library) -> None:
    if friends := [person for person in persons if library.friends_administrator(person)]:
        raise Refused(
            PR_18,
            f"{', '.join(friends)}: declared administrator of a Friends of the Library site",
            "name someone who does not administer a Friends site",
        )


def those_who_will_post_are_employees(wanted: Wanted, library: Library) -> None:
    if inactive := [person for person in wanted.posters if not library.is_employee(person)]:
        raise Refused(PR_4, f"{', '.join(inactive)}: not an active employee", "only the library's own staff post")
    if len(set(wanted.posters)) < len(wanted.posters):
        raise Refused(PR_4, "the same person is named twice to post", "name each person who will post once")


def one_account_per_handle(wanted: Wanted, case: AccountCase, library: Library) -> None:
    holder = library.holder_of(claim(wanted.platform, wanted.handle))
    if holder not in (None, case.case):
        raise Refused(
            PR_1,
            f"{written(wanted.handle)} on {wanted.platform} is open or requested already, in {holder}",
            "another handle, or go on in that case",
        )


def a_task_still_open(task: str, case: AccountCase, library: Library) -> SetupTask:
    tasks = {each.id: each for each in library.policy.setup_tasks}
    if task not in tasks:
        raise Refused(PR_2, f"there is no set-up task {task}", f"one of {', '.join(tasks)}")
    if task in closed_tasks(case):
        raise Refused(tasks[task].clause, f"{task} is closed already", one_of(open_tasks(case, library)))
    return tasks[task]


def the_logo_is_official(task: SetupTask, done: CompleteTask, library: Library) -> None:
    if task.needs != "logo_evidence":
        return
    official = {(logo.sha256, logo.source) for logo in library.policy.official_logos}
    if (done.logo_sha256, done.logo_source) not in official:
        raise Refused(
            PR_2,
            "the logo's file is not one that its source gives out",
            "use the file from the Marketing and Access Coordinator or the online helpdesk, and say which "
            f"(logo_source, logo_sha256): {'; '.join(f'{sha} from {source}' for sha, source in sorted(official))}",
        )


def only_where_the_policy_says_whenever_possible(task: SetupTask) -> None:
    if not task.waivable:
        raise Refused(task.clause, f"{task.id} cannot be waived", "do it, and record who did")


def a_condition_still_open(condition: str, case: AccountCase) -> None:
    still_open = open_conditions(case)
    if condition not in still_open:
        raise Refused(PR_1, f"no condition {condition} is open", one_of(still_open))


def every_condition_is_met(case: AccountCase) -> None:
    if still_open := open_conditions(case):
        raise Refused(PR_1, f"conditions of the approval are open: {', '.join(still_open)}", "meet them first")


def two_administrators_have_confirmed_one_a_coordinator(case: AccountCase, library: Library) -> None:
    settings = library.policy.settings
    confirmed = {person for person in case.confirmed if library.is_employee(person)}
    still_missing = [person for person in case.asked_for.administrators if person not in confirmed]
    if len(confirmed) < settings.minimum_administrators.value:
        raise Refused(
            PR_7, f"{len(confirmed)} administrator(s) have confirmed", f"wait for {', '.join(still_missing)} to confirm"
        )
    if len(coordinators_among(confirmed, library)) < settings.minimum_coordinators.value:
        raise Refused(PR_7, "no coordinator has confirmed", f"one of {', '.join(who_coordinates(library))} confirms")


# what is still open


def open_tasks(case: AccountCase, library: Library) -> list[str]:
    return [task.id for task in library.policy.setup_tasks if task.id not in closed_tasks(case)]


def mandatory_tasks_open(case: AccountCase, library: Library) -> list[str]:
    mandatory = [task.id for task in library.policy.setup_tasks if task.mandatory]
    return [task for task in mandatory if task not in closed_tasks(case)]


def closed_tasks(case: AccountCase) -> tuple[str, ...]:
    return (*case.tasks_done, *case.tasks_waived)


def open_conditions(case: AccountCase) -> list[str]:
    return [each.id for each in case.conditions if each.id not in case.conditions_met]


def one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else "nothing: none is open"
