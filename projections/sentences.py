"""What happened, in a plain sentence. Who did it stands beside it; nothing that is sealed is in it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

SENTENCES = {
    "account_creation.AccountRequested": "The account {handle} on {platform} was requested for {place}",
    "account_creation.RequestAmended": "The request was changed; it now asks for {handle} on {platform} for {place}",
    "account_creation.AccountApproved": "The account was approved",
    "account_creation.ChangesAsked": "Changes to the request were asked for",
    "account_creation.AccountRefused": "The account was refused",
    "account_creation.RequestWithdrawn": "The request was withdrawn",
    "account_creation.RequestExpired": "The request expired without a decision or a conclusion",
    "account_creation.TaskCompleted": "The set-up task {task} was done",
    "account_creation.TaskWaived": "The set-up task {task} was waived, with a reason",
    "account_creation.ConditionMet": "The condition {condition} of the approval was met",
    "account_creation.AdministrationConfirmed": "{administrator} confirmed administering the account",
    "account_creation.SetUpCompleted": "The set-up was completed",
    "account_creation.AccountOpened": "The account was opened, administered by {administrators}",
    "posting_rights.RightsRequested": "{by} asked for the right to post to {accounts}",
    "posting_rights.RequestAmended": "The request was changed; it now asks for {accounts}",
    "posting_rights.ChangesAsked": "Changes to the request were asked for",
    "posting_rights.RightsRefused": "The posting rights were refused",
    "posting_rights.RequestWithdrawn": "The request was withdrawn",
    "posting_rights.RequestExpired": "The request expired without a decision",
    "posting_rights.RightsGranted": "{holder} may post to {accounts} until {until}",
    "posting_rights.ConditionMet": "The condition {condition} of the right was met",
    "posting_rights.RightsSuspended": "The posting rights of {holder} were suspended",
    "posting_rights.RightsReinstated": "The posting rights of {holder} were reinstated",
    "posting_rights.RenewalAsked": "{holder} was asked whether the right is still needed after {until}",
    "posting_rights.RightsExpired": "The posting rights of {holder} came to their end",
    "posting_rights.RightsRevoked": "The posting rights of {holder} were revoked",
    "posting_rights.RightsLapsed": "The posting rights of {holder} lapsed: {cause}",
    "posting_rights.RightsSuperseded": "{holder} posts by role now, as {role}; the right ended",
    "staff_change.StaffChangeFollowed": "What follows from HR's change of {person} ({change}) began to be carried out",
    "staff_change.DepartureAhead": "{person} will have their last day on {last_day}; then in breach: {in_breach}",
    "staff_change.DepartureCame": "The last day of {person} is over",
    "staff_change.DepartureOffRecord": "The planned departure of {person} is off: HR says something else by now",
    "staff_change.AdministratorLeft": "{administrator} no longer administers {account}",
    "staff_change.AdministratorSeated": "{by} made {administrator} an administrator of {account}",
    "staff_change.CredentialsToRotate": "The credentials of {accounts} are to be changed, as {person} may know them",
    "staff_change.RemedyOpened": "{account} has to be mended: {because}",
    "staff_change.RemedyClosed": "{account} is in order again",
    "staff_change.StaffChangeReported": "{told} were told what followed from HR's change of {person}",
    "delegation.DelegationLapsed": "The delegation from {giver} to {to} ended, as {left} left, or what it rested on",
    "waiting.Asked": "{persons} were asked to {to}",
    "waiting.Reminded": "{persons} were reminded to {to}",
    "waiting.Escalated": "It was escalated to {persons} that nobody did yet: {to}",
    "waiting.BecameOverdue": "It became overdue for {persons} to {to}",
    "waiting.DueMomentsReissued": "The due moments were reckoned anew",
    "waiting.TaskRerouted": "The task went from {before} to {persons}: {to}",
    "attempts.AttemptRefused": "An attempt was refused ({asked}): {because}",
    "attempts.AttemptsSuppressed": "{count} further attempts were refused and not written down one by one",
    "directory.PersonJoined": "{person} joined the staff",
    "directory.PersonChanged": "What HR says of {person} changed: {changed}",
    "directory.PersonMoved": "{person} moved to another branch or position",
    "directory.PersonRolesChanged": "{person} gained the roles {gained} and lost {lost} by a group of HR's",
    "directory.PersonLeft": "{person} left",
    "directory.PersonReturned": "{person} returned",
    "directory.StaffImported": "Staff were imported: {joined} joined, {changed} changed, {left} left",
    "directory.FriendsRoleDeclared": "It was declared whether {person} administers a Friends site: {administers}",
    "hr_feed.HrSystemRegistered": "The HR system {system} was registered",
    "hr_feed.HrTokenRevoked": "The token of the HR system {system} was revoked",
    "hr_feed.SourceSet": "{system} became the source of record of {person}",
    "hr_feed.UserStored": "{system} sent a user: {person}",
    "hr_feed.UserDeleted": "{system} deleted the user of {person}",
    "hr_feed.GroupStored": "{system} sent the group {display_name}",
    "hr_feed.GroupDeleted": "{system} deleted a group",
    "hr_feed.SetAside": "A message of {system} came late and was set aside",
    "hr_feed.Quarantined": "What {system} sent of {person} has to wait: {problem}",
    "hr_feed.QuarantineCleared": "What {system} sent waits no more ({item})",
    "hr_feed.SnapshotTaken":
        "A file of {system} was taken: {joined} joined, {changed} changed, {left} left, {held} rows wait",
    "disclosure.TextsRead": "The sealed texts of {of_case} were shown in clear",
    "disclosure.RecordsTaken": "{events} events were taken away as {formats}",
    "run_history.RunHistoryKept": "The history of a run of {of_case} was kept; it ended as {ended}",
    "delegation.Delegated": "{giver} let {to} stand in for {processes} until {until}",
    "delegation.DelegationEnded": "The delegation {delegation} ended",
    "founding.FollowingStaffBegun": "From here on, changes of staff are followed",
    "webhooks.Subscribed": "{subscriber} ({url}) is told from now on what HR may know",
    "webhooks.SecretsChanged": "The secrets by which {subscriber} knows us were changed",
    "webhooks.SubscriptionEnded": "{subscriber} is told no more",
    "legal_hold.HoldPlaced": "A legal hold was placed over {over} {of}",
    "legal_hold.HoldReleased": "The legal hold {hold} was released",
    "openings.SealedOpened": "{by} opened what is sealed for {patrons} ({purpose})",
    "openings.FileOpened": "{by} opened the file {file} ({purpose})",
    "openings.PatronsSought": "{by} looked for a patron by {by_what} ({purpose}); it fits {patrons}",
    "erasure.ErasureAsked": "Erasing the patron {patron} was asked for by the {asked_by}",
    "erasure.WhatStandsLookedAt": "Nothing stands against the erasure",
    "erasure.ErasureHeld":
        "The erasure has to wait: legal holds {holds}, open cases {open_cases}, kept until {kept_until}",
    "erasure.LookedForAgain": "What stands against the erasure is looked at again",
    "erasure.ErasureAgreed": "{by} agreed to the erasure",
    "erasure.ErasureRefused": "The erasure was refused",
    "erasure.ErasureWithdrawn": "The erasure was withdrawn",
    "erasure.ErasureExpired": "The erasure expired without a decision",
    "erasure.DestructionBegun": "The key of the patron {patron} is being destroyed",
    "erasure.PatronErased":
        "The patron {patron} was erased: their key is gone with the key-encryption key {kek_before}",
    "consent.ConsentRecorded": "A consent was recorded at {place}: {form}",
    "consent.ConsentActive": "The consent is in force",
    "consent.NoticeProven": "The notice was seen {when} the program",
    "consent.OptedOut": "Patron {patron} asked on the day not to be pictured",
    "consent.RevocationKnown": "It is known that someone asked to end the consent, in {revocation}",
    "consent.ConsentKept": "The consent stands as before; what was asked in {revocation} came to nothing",
    "consent.ConsentRevoking": "The consent was revoked in {revocation}; what was published is being removed",
    "consent.ConsentRevoked": "The consent is revoked, by {revocation}",
    "consent.ConsentExpired": "The consent came to its end",
    "consent.ConsentRejected": "The consent was not taken up",
    "consent.RenewalFellDue": "The minor has come of age; the guardian's word no longer counts",
    "consent.ConsentRenewed": "Whoever has come of age gave their own consent",
    "photo_permission.PictureTakenIn": "A picture that {taken_by} took was taken in at {place}",
    "photo_permission.PictureAdded": "The picture was added, freed of place and camera",
    "photo_permission.PersonIdentified": "Someone else was recognised in the picture",
    "photo_permission.PermissionGiven": "Patron {patron} is in it by {consent}",
    "photo_permission.PermissionTaken": "The basis of patron {patron} was taken away",
    "photo_permission.PictureCleared": "The picture is cleared",
    "photo_permission.PicturePartlyUsable": "The picture may be used once these are hidden: {without}",
    "photo_permission.PictureBlocked": "The picture is blocked",
    "photo_permission.PictureSetAside": "The picture was set aside",
    "photo_permission.PictureNeverCame": "The picture never came",
    "uses.UseRecorded": "{by} put {used} on {target}",
    "uses.UseEnded": "{used} stands there no longer ({use})",
    "revocation.RevocationAsked": "A patron asked the library to stop ({received})",
    "revocation.IdentityChecked": "{by} made sure that it is patron {patron} who asks",
    "revocation.RevocationRestated": "For what they ask is looked at anew",
    "revocation.RevocationAccepted": "The revocation of patron {patron} was accepted; nothing new rests on it",
    "revocation.RemovalAsked": "{persons} were asked to remove {used} from {target}",
    "revocation.RemovalReminded": "{persons} were reminded to {to}",
    "revocation.RemovalEscalated": "It was escalated to {persons} that nobody did yet: {to}",
    "revocation.RemovalMomentsReissued": "The due moments of the removal {use} were reckoned anew",
    "revocation.RemovalRerouted": "The removal went from {before} to {persons}: {to}",
    "revocation.UseFound": "{by} found {used} on {target}, though it was not on record",
    "revocation.RemovalConfirmed": "{by} removed {used} ({use})",
    "revocation.RemovalImpossible": "{used} cannot be removed there: {why}",
    "revocation.UseGone": "The use {use} had been ended elsewhere",
    "revocation.UsesRemoved": "Every use is gone ({removed} removed), and the patron is written to",
    "revocation.LetterWritten": "{by} wrote the letter by post",
    "revocation.PersonTold": "{by} recorded how whoever asked was told: {how}",
    "revocation.RevocationCompleted": "The revocation is carried out",
    "revocation.RevocationDeclined": "The request could not be carried out: {why}",
    "founding.SystemFounded": "The installation {installation} was founded",
    "opening_hours.CalendarAdopted": "A calendar was adopted",
    "opening_hours.BranchClosed": "A closure was announced",
    "opening_hours.ClosureLifted": "The closure {closure} was lifted: {because}",
    "policy_adoption.PolicyAdopted": "Policy version {version} was adopted, in force from {effective}",
}
CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Plain(dict[str, Any]):
    """A fact's fields as words: lists with commas, persons by their id; a field that it lacks leaves a gap in words."""

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        if isinstance(value, str | int):
            return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value)) or "nobody"
        return value.get("id", "someone") if isinstance(value, dict) else "nobody"


def what_happened(kind: str, fact: dict[str, Any]) -> str:
    sentence = SENTENCES.get(kind)
    return sentence.format_map(Plain(fact)) if sentence else name_in_words(kind)


@lru_cache(maxsize=1_000)
def name_in_words(kind: str) -> str:
    """`photo_permission.PictureTaken` says: Picture taken."""
    return CAPITAL.sub(" ", kind.rpartition(".")[2]).capitalize()


def account_in_words(account: str) -> str:
    """`account:bluesky:mmrls` says: mmrls on bluesky."""
    _, _, rest = account.partition(":")
    platform, _, handle = rest.partition(":")
    return f"{handle} on {platform}" if handle else ""
