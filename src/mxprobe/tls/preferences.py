"""Which code points of a list in a hello a server takes, and in which order: by taking out what it chose.

Groups and signature schemes are found as suites are: n + 1 hellos for n of them. One more tells whose order it is,
unless the server's picks have shown already that they do not follow ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from mxprobe.tls.offer import Answer, Chosen, Closed, Offer, Refused
from mxprobe.tls.sweep import CONTROL, Sweep, ask, ask_surely

Order = Literal["server", "client", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What was found of one list. `accepted` are code points, in the server's order where `order` is *server*.

    `state` is *accepted* as soon as one was, *refused* only where the server said so. `complete` is false where
    `undecided` holds code points of which we do not know; `reason` says why, and what else is to be said. `hellos` is
    the number of ClientHellos that it took.
    """

    state: Literal["accepted", "refused", "unknown"]
    accepted: tuple[int, ...] = ()
    order: Order = "unknown"
    complete: bool
    undecided: tuple[int, ...] = ()
    ending: Answer | None = None
    reason: str = ""
    hellos: int


class Preferences:
    """One list being asked. `offer_of` makes the hello that lists some code points, `picked` reads an answer to it.

    `accepted`, `undecided` and `ending` are what is known so far. Bounded by the list: each hello that leads to another
    takes one code point out.
    """

    def __init__(
        self, candidates: tuple[int, ...], offer_of: Callable[[tuple[int, ...]], Offer], picked: Picked
    ) -> None:
        self.candidates = candidates
        self.accepted: list[int] = []
        self.ending: Answer | None = None
        self.cut = False
        self.reason = ""
        self.hellos = 0
        self._offer_of = offer_of
        self._picked = picked

    def find(self, *parts: tuple[int, ...]) -> Sweep[Listed]:
        """Ask for all; where that is refused at once, ask for each of `parts`: some servers refuse a hello for a
        single code point that they do not want to see in it."""
        yield from self.chain(self.candidates)
        apart = not self.accepted and isinstance(self.ending, Refused) and len(parts) > 1
        if apart:
            for part in parts:
                yield from self.chain(part)
        if isinstance(self.ending, Closed) and not self.cut:
            yield from self._check_close()
        order = "unknown" if apart else (yield from self.whose_order())
        return self.found(order)

    def chain(self, candidates: tuple[int, ...], always: tuple[int, ...] = ()) -> Sweep[None]:
        """Take out what is chosen until nothing of these is; `always` stands behind them in each hello."""
        left = tuple(number for number in candidates if number not in self.accepted)
        while left:
            answer = yield from self._ask(left + always)
            picked = self._picked(answer) if isinstance(answer, Chosen) else None
            if picked in left:
                assert picked is not None
                self.accepted.append(picked)
                left = tuple(number for number in left if number != picked)
                continue
            self.ending = answer
            if isinstance(answer, Chosen):
                # An alert after the choice is a refusal, too: it could not go on with any of these.
                self.cut = picked is None and answer.ended_by is None
                if picked and picked not in always:
                    self.reason = f"then 0x{picked:04X} was chosen, which was not listed"
            else:
                self.cut = not (isinstance(answer, Refused) or (isinstance(answer, Closed) and answer.stage == "hello"))
            break

    def whose_order(self) -> Sweep[Order]:
        """Whose order was followed: the server's where it is not ours; otherwise the list the other way round tells."""
        places = [self.candidates.index(number) for number in self.accepted]
        if places != sorted(places):
            return "server"
        if len(places) < 2 or self.cut:
            return "unknown"
        answer = yield from self._ask(tuple(reversed(self.accepted)))
        picked = self._picked(answer) if isinstance(answer, Chosen) else None
        if picked == self.accepted[-1]:
            return "client"
        return "server" if picked == self.accepted[0] else "unknown"

    def found(self, order: Order) -> Listed:
        """What is known now."""
        left = tuple(number for number in self.candidates if number not in self.accepted)
        return Listed(
            state="accepted" if self.accepted else "unknown" if self.cut else "refused",
            accepted=tuple(self.accepted),
            order=order,
            complete=not self.cut,
            undecided=left if self.cut else (),
            ending=self.ending,
            reason=self.reason,
            hellos=self.hellos,
        )

    def _check_close(self) -> Sweep[None]:
        """A plain close is believed where what was taken before is still taken, and never where nothing was."""
        self.cut = True
        if self.accepted:
            answer = yield from self._ask((self.accepted[0],), attempt=CONTROL)
            self.cut = not isinstance(answer, Chosen)

    def _ask(self, numbers: tuple[int, ...], attempt: int = 1) -> Sweep[Answer]:
        offer = self._offer_of(numbers)
        if attempt != 1:
            self.hellos += 1
            return (yield from ask(replace(offer, attempt=attempt)))
        answer, hellos = yield from ask_surely(offer)
        self.hellos += hellos
        return answer


Picked = Callable[[Chosen], int | None]
"""What an answer picked of a list; None where that was not seen."""


def joined(lists: Iterable[Listed]) -> Listed:
    """Several lists as one, one after the other: what is unknown of one is unknown of all."""
    lists = tuple(lists)
    accepted = tuple(dict.fromkeys(number for each in lists for number in each.accepted))
    complete = all(each.complete for each in lists)
    orders = {each.order for each in lists if len(each.accepted) > 1}
    return Listed(
        state="accepted" if accepted else "refused" if complete else "unknown",
        accepted=accepted,
        order=orders.pop() if len(orders) == 1 else "unknown",
        complete=complete,
        undecided=tuple(number for each in lists for number in each.undecided),
        ending=next((each.ending for each in lists if not each.complete), None),
        reason="; ".join(dict.fromkeys(each.reason for each in lists if each.reason)),
        hellos=sum(each.hellos for each in lists),
    )
