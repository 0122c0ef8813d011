"""Every process by its stem: where a command is decided and a case is folded."""

from domain.account_creation import ACCOUNT_CREATION
from domain.delegation import DELEGATION
from domain.directory import DIRECTORY
from domain.erasure import ERASURE
from domain.facts import Page
from domain.founding import FOUNDING
from domain.hr_feed import HR_FEED
from domain.legal_hold import LEGAL_HOLD
from domain.opening_hours import OPENING_HOURS
from domain.openings import OPENINGS
from domain.policy_adoption import POLICY
from domain.posting_rights import POSTING_RIGHTS
from domain.staff_change import STAFF_CHANGE

PAGES: dict[str, Page] = {
    page.name: page
    for page in (
        ACCOUNT_CREATION,
        DELEGATION,
        DIRECTORY,
        ERASURE,
        FOUNDING,
        HR_FEED,
        LEGAL_HOLD,
        OPENINGS,
        OPENING_HOURS,
        POLICY,
        POSTING_RIGHTS,
        STAFF_CHANGE,
    )
}
# Processes whose every case is a workflow of its own; the others keep one stream for the whole library.
CASE_PROCESSES = (ACCOUNT_CREATION.name, ERASURE.name, POSTING_RIGHTS.name, STAFF_CHANGE.name)
