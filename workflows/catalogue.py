"""Every process that is a workflow: its stem, the class that is its procedure, and the type name Temporal knows."""

from __future__ import annotations

from workflows.account_creation import AccountCreation
from workflows.case import Case
from workflows.consent import Consent
from workflows.erasure import Erasure
from workflows.photo_permission import PhotoPermission
from workflows.posting_rights import PostingRights
from workflows.revocation import Revocation
from workflows.staff_change import StaffChange

WORKFLOWS: dict[str, type[Case]] = {
    each.page.name: each
    for each in (AccountCreation, Consent, Erasure, PhotoPermission, PostingRights, Revocation, StaffChange)
}
TYPE_NAMES: dict[str, str] = {stem: each.__name__ for stem, each in WORKFLOWS.items()}
