"""What a decision knew, found again: its case as it stood, and the library as of the log position that it names."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from domain.facts import Recorded, State, stem_of
from domain.pages import PAGES
from domain.register import Register

CASES_IN_MEMORY = 20_000
# a decision that was made on what was older by a few events is the rule while many decide at once
KEPT_EVERY, KEPT_MOST = 100, 50


class Libraries:
    """The library at any log position up to the newest one learned. Positions are asked for in nearly rising order:
    what lies far back is folded again from event one."""

    def __init__(self, shared_up_to: Callable[[int], list[Recorded]]) -> None:
        self._shared_up_to = shared_up_to
        self._newest = Register()
        self._kept: list[Register] = [Register()]
        # those after the oldest that is kept
        self._recent: list[Recorded] = []
        self._behind = Register()
        self._learned = 0

    def learn(self, recorded: Recorded) -> None:
        if not recorded.envelope.touches:
            return
        self._newest.evolve(recorded.envelope, recorded.fact, recorded.log_position)
        self._recent.append(recorded)
        self._learned += 1
        if self._learned % KEPT_EVERY == 0:
            self._kept.append(self._newest.still())
            self._forget_the_oldest()

    def as_of(self, position: int) -> Register:
        """As of the shared event at this log position. Good until the next one is asked for."""
        if position >= self._newest.position:
            return self._newest
        if position < self._kept[0].position:
            return folded(self._shared_up_to(position))
        if self._behind.position > position:
            self._behind = max(
                (each for each in self._kept if each.position <= position), key=lambda each: each.position
            ).still()
        first, end = (bisect_right(self._recent, each, key=where) for each in (self._behind.position, position))
        for each in self._recent[first:end]:
            self._behind.evolve(each.envelope, each.fact, each.log_position)
        return self._behind

    def _forget_the_oldest(self) -> None:
        if len(self._kept) > KEPT_MOST:
            del self._kept[0]
            oldest = self._kept[0].position
            del self._recent[: bisect_right(self._recent, oldest, key=where)]
            if self._behind.position < oldest:
                self._behind = self._kept[0].still()


class Streams:
    """Each stream as it stands after the events learned so far."""

    def __init__(self, stream_up_to: Callable[[str, int], list[Recorded]]) -> None:
        self._stream_up_to = stream_up_to
        self._states: OrderedDict[str, State] = OrderedDict()
        self._heads: dict[str, int] = {}

    def learn(self, recorded: Recorded) -> None:
        stream = recorded.envelope.case
        page = PAGES.get(stem_of(stream))
        if page is None or "!" in stream:
            return
        before = self.state(stream, recorded.envelope.position - 1)
        self._states[stream] = page.fold(before, [recorded])
        self._heads[stream] = recorded.envelope.position
        self._states.move_to_end(stream)
        while len(self._states) > CASES_IN_MEMORY:
            self._states.popitem(last=False)

    def now(self, stream: str) -> State:
        return self.state(stream, self._heads.get(stream, 0))

    def state(self, stream: str, position: int) -> State:
        page = PAGES[stem_of(stream)]
        held = self._states.get(stream)
        if held is not None and held.position == position:
            return held
        earlier = self._stream_up_to(stream, position) if position else []
        return page.fold(page.initial(stream), earlier)


def where(recorded: Recorded) -> int:
    return recorded.log_position


def folded(shared: list[Recorded]) -> Register:
    register = Register()
    for each in shared:
        register.evolve(each.envelope, each.fact, each.log_position)
    return register
