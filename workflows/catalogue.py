"""Every process that is a workflow: its stem, the class that is its procedure, and the type name Temporal knows."""

from __future__ import annotations

from workflows.account_creation import AccountCreation
from workflows.case import Case
from workflows.erasure import Erasure
from workflows.posting_rights import PostingRights
from workflows.staff_change import StaffChange

WORKFLOWS: dict[str, type[Case]] = {
    each.page.name: each for each in (AccountCreation, Erasure, PostingRights, StaffChange)
}
TYPE_NAMES: dict[str, str] = {stem: each.__name__ for stem, each in WORKFLOWS.items()}
