"""Every process by its stem: where a command is decided and a case is folded."""

from domain.account_creation import ACCOUNT_CREATION
from domain.consent import CONSENT
from domain.delegation import DELEGATION
from domain.directory import DIRECTORY
from domain.disclosure import DISCLOSURE
from domain.erasure import ERASURE
from domain.facts import Page, stem_of
from domain.founding import FOUNDING
from domain.hr_feed import HR_FEED
from domain.legal_hold import LEGAL_HOLD
from domain.opening_hours import OPENING_HOURS
from domain.openings import OPENINGS
from domain.photo_permission import PHOTO_PERMISSION
from domain.policy_adoption import POLICY
from domain.posting_rights import POSTING_RIGHTS
from domain.revocation import REVOCATION
from domain.run_history import RUN_HISTORY
from domain.staff_change import STAFF_CHANGE
from domain.uses import USES
from domain.webhooks import WEBHOOKS

PAGES: dict[str, Page] = {
    page.name: page
    for page in (
        ACCOUNT_CREATION,
        CONSENT,
        DELEGATION,
        DIRECTORY,
        DISCLOSURE,
        ERASURE,
        FOUNDING,
        HR_FEED,
        LEGAL_HOLD,
        OPENINGS,
        OPENING_HOURS,
        PHOTO_PERMISSION,
        POLICY,
        POSTING_RIGHTS,
        REVOCATION,
        RUN_HISTORY,
        STAFF_CHANGE,
        USES,
        WEBHOOKS,
    )
}
# Processes whose every case is a workflow of its own; the others keep one stream for the whole library.
CASE_PROCESSES = (
    ACCOUNT_CREATION.name,
    CONSENT.name,
    ERASURE.name,
    PHOTO_PERMISSION.name,
    POSTING_RIGHTS.name,
    REVOCATION.name,
    STAFF_CHANGE.name,
)


def is_of_a_case(stream: str) -> bool:
    """And not of the whole library, nor of the attempts beside a case."""
    return stem_of(stream) in CASE_PROCESSES and "!" not in stream
