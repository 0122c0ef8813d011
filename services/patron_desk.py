"""What staff ask of the desk about patrons: a picture taken in, a patron found, a use explained."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.facts import Malformed, stem_of
from domain.openings import Purpose
from domain.photo_permission import PROCESS as PICTURES
from services.desk import Caller, Desk, reader_of
from services.may_use import answered
from services.openings import note_search
from services.pictures.intake import take_in
from services.receipts import receipt


async def add_picture(desk: Desk, case: str, raw: bytes, caller: Caller, id_: str | None = None) -> dict[str, Any]:
    """The picture of a case, freed of what a camera writes beside it. Malformed where it is none."""
    if stem_of(case) != PICTURES:
        raise Malformed("case", f"{case} is no case of a picture", f"one that begins with {PICTURES}-")
    await desk.only_who_has_to_do_with(case, caller.person)
    megapixels = (await desk.policy()).settings.picture_megapixels_most.value
    taken = await desk.in_a_thread(lambda: take_in(raw, megapixels))
    kept = await desk.keep(taken.content, taken.media_type, case)
    fields = {"evidence": [kept], "taken": taken.taken.model_dump(mode="json")}
    answer = await desk.act(case, "AddPicture", fields, caller, id_)
    return answer | {"taken": fields["taken"], "taken_at": taken.taken_at}


async def may_be_used(desk: Desk, content: str, account: str | None, at: datetime | None = None) -> dict[str, Any]:
    """May it be used, now or then, with the reasons and the events that they hang on."""
    return await desk.in_a_thread(
        lambda: answered(desk.ledger.recorder, content, account, desk.clock.now(), at)
    )


async def find_patrons(
    desk: Desk, said: Mapping[str, Any], caller: Caller, purpose: Purpose = Purpose.IDENTITY_CHECK
) -> list[dict[str, Any]]:
    """Patrons by what they can say of themselves: their numbers, and the consents and pictures that concern them. Who
    looked, by what and whom it fits is on record; NoAuthority for those who open nothing of patrons."""
    return await desk.in_a_thread(lambda: _found(desk, said, caller, purpose))


def _found(desk: Desk, said: Mapping[str, Any], caller: Caller, purpose: Purpose) -> list[dict[str, Any]]:
    values = {name: value for name, value in said.items() if value}
    if not values:
        raise Malformed("find", "nothing is said to find them by", "name, email, telephone or handle")
    found = desk.patrons.find(values)
    note_search(desk.ledger, sorted(values), found, reader_of(caller), purpose)
    library = desk.ledger.library()
    return [{"patron": each, "on_record": list(library.on_record_of(each))} for each in found]


async def receipt_of(desk: Desk, case: str) -> dict[str, Any]:
    """The receipt of a consent, for staff to hand out."""
    return await desk.in_a_thread(lambda: _receipt(desk, case))


def _receipt(desk: Desk, case: str) -> dict[str, Any]:
    state = desk.ledger.state(case)
    recorded = getattr(state, "recorded", None)
    if recorded is None:
        raise Malformed("case", f"there is no consent {case}", "an id that `consent list` shows")
    return receipt(state, desk.ledger.library().policy, desk.settings.public_url)  # type: ignore[arg-type]
