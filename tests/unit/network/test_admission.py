"""Who is let through next: within every limit, in turn, and never held up by somebody who waits for something else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.network.admission import Admission, Ticket
from mxprobe.network.budget import Budget


@dataclass(slots=True)
class Crowd:
    """All who want to be let through, and a clock that goes from one event to the next."""

    admission: Admission = field(default_factory=Admission)
    now: float = 0.0
    inside: list[Ticket] = field(default_factory=list)
    entered: list[tuple[float, Ticket]] = field(default_factory=list)

    def ask(self, *budgets: Budget) -> Ticket:
        ticket = self.admission.enter(budgets, self.now)
        if ticket.admitted:
            self._let_in(ticket)
        self.settle()
        return ticket

    def leave(self, ticket: Ticket, *, unused: bool = False) -> None:
        if ticket in self.inside:
            self.inside.remove(ticket)
        self.admission.leave(ticket, self.now, unused=unused)
        self.settle()

    def settle(self) -> None:
        for ticket in self.admission.settle(self.now):
            assert ticket.admitted
            self._let_in(ticket)

    def wait(self) -> bool:
        """Let time pass to the next moment at which it may let somebody through; whether there is one."""
        when = self.admission.wake_at(self.now)
        if when is None:
            return False
        assert when > self.now
        self.now = when
        self.settle()
        return True

    def _let_in(self, ticket: Ticket) -> None:
        assert ticket not in self.inside
        self.inside.append(ticket)
        self.entered.append((self.now, ticket))


def test_an_exhausted_provider_holds_up_nobody_else() -> None:
    crowd, total = Crowd(), Budget(10)
    slow, other = Budget(2), Budget(2)
    for _ in range(2):
        crowd.ask(Budget(2), slow, total)
    stuck = [crowd.ask(Budget(2), slow, total) for _ in range(50)]
    assert not any(ticket.admitted for ticket in stuck)
    assert crowd.ask(Budget(2), other, total).admitted


def test_an_exhausted_network_holds_up_nothing_else_of_the_same_domain() -> None:
    crowd, total = Crowd(), Budget(100)
    domain, full, roomy = Budget(5), Budget(1), Budget(5)
    crowd.ask(Budget(2), full, total)
    stuck = [crowd.ask(Budget(2), domain, full, total) for _ in range(50)]
    assert not any(ticket.admitted for ticket in stuck)
    # All but the one place that is held for the first of those who wait.
    assert [crowd.ask(Budget(2), domain, roomy, total).admitted for _ in range(5)] == [True] * 4 + [False]


def test_an_address_with_many_wishes_shares_turns_with_one_that_has_few() -> None:
    crowd, total = Crowd(), Budget(1)
    greedy, modest = Budget(8), Budget(8)
    names = {id(greedy): "greedy", id(modest): "modest"}
    crowd.ask(greedy, total)
    for _ in range(7):
        crowd.ask(greedy, total)
    for _ in range(2):
        crowd.ask(modest, total)
    while crowd.inside:
        crowd.leave(crowd.inside[0])
    order = [names[id(ticket.budgets[0])] for _, ticket in crowd.entered]
    assert order.index("modest") <= 3
    assert [number for number, name in enumerate(order) if name == "modest"][1] <= 5
    assert Counter(order) == {"greedy": 8, "modest": 2}


def test_whoever_needs_two_scarce_things_is_not_passed_over_for_ever() -> None:
    """Each is always taken by those who need only one: without a hold, both would never be free at once."""
    crowd, total = Crowd(), Budget(100)
    domain, network = Budget(1), Budget(1)
    one, other = crowd.ask(Budget(1), domain, total), crowd.ask(Budget(1), network, total)
    both = crowd.ask(Budget(1), domain, network, total)
    for _ in range(10):
        next_one = crowd.ask(Budget(1), domain, total)
        crowd.leave(one)
        next_other = crowd.ask(Budget(1), network, total)
        crowd.leave(other)
        if both.admitted:
            break
        one, other = next_one, next_other
    assert both.admitted


def test_whoever_gives_up_has_spent_nothing() -> None:
    crowd = Crowd()
    address, provider, total = Budget(5, 60), Budget(5, 4), Budget(5)
    for _ in range(2):
        crowd.leave(crowd.ask(address, provider, total))  # the burst of the provider
    waiting = [crowd.ask(address, provider, total) for _ in range(20)]
    for ticket in waiting:
        crowd.leave(ticket)
    assert address.bucket is not None
    assert address.bucket.tokens(crowd.now) == address.bucket.burst - 2
    assert (address.used, address.held, provider.held, total.used, total.held) == (0, 0, 0, 0, 0)
    assert crowd.admission.wake_at(crowd.now) is None
    late = crowd.ask(address, provider, total)
    assert crowd.wait()
    assert late.admitted


def test_an_admission_that_came_too_late_costs_nothing() -> None:
    crowd = Crowd()
    provider = Budget(1, 2)
    ticket = crowd.ask(provider)
    crowd.leave(ticket, unused=True)
    assert crowd.ask(provider).admitted


def test_tokens_come_back_one_at_a_time() -> None:
    crowd = Crowd()
    provider, total = Budget(None, 60), Budget(1000)
    for _ in range(40):
        crowd.ask(Budget(1), provider, total)
    assert len(crowd.entered) == 30
    while crowd.wait():
        pass
    assert len(crowd.entered) == 40
    times = [when for when, _ in crowd.entered[30:]]
    assert all(1.9 < later - earlier < 2.0 for earlier, later in pairwise(times))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Budget], list[tuple[int, ...]]]:
    """Budgets of four widths, and the ways through them: an address, perhaps a domain, perhaps a network, the total."""
    rates = st.one_of(st.none(), st.integers(1, 120))
    counts = [draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 3)), 1]
    budgets, offsets = [], []
    for number in counts:
        offsets.append(len(budgets))
        budgets += [Budget(draw(st.integers(1, 4)), draw(rates)) for _ in range(number)]
    ways = [
        (
            address,
            *((draw(st.integers(offsets[1], offsets[2] - 1)),) if draw(st.booleans()) else ()),
            *((draw(st.integers(offsets[2], offsets[3] - 1)),) if draw(st.booleans()) else ()),
            offsets[3],
        )
        for address in range(counts[0])
    ]
    return budgets, ways


@settings(deadline=None, max_examples=150)
@given(world=worlds(), data=st.data())
def test_no_limit_is_ever_exceeded_and_nobody_waits_for_ever(
    world: tuple[list[Budget], list[tuple[int, ...]]], data: st.DataObject
) -> None:
    budgets, ways = world
    crowd = Crowd()
    waiting: list[Ticket] = []
    asked = 0
    for _ in range(data.draw(st.integers(1, 40))):
        match data.draw(st.sampled_from(("ask", "ask", "leave", "cancel", "wait"))):
            case "ask":
                way = data.draw(st.sampled_from(ways))
                waiting.append(crowd.ask(*(budgets[number] for number in way)))
                asked += 1
            case "leave" if crowd.inside:
                crowd.leave(data.draw(st.sampled_from(crowd.inside)))
            case "cancel" if any(not ticket.admitted and ticket.lacks is not None for ticket in waiting):
                crowd.leave(data.draw(st.sampled_from([ticket for ticket in waiting if ticket.lacks is not None])))
                asked -= 1
            case _:
                crowd.wait()
        _within_limits(crowd, budgets)
        _nobody_waits_in_vain(crowd, waiting)
    # Whoever is inside leaves some time: then all have been let through.
    for _ in range(50 * (asked + 1)):
        if crowd.inside:
            crowd.leave(crowd.inside[0])
        elif not crowd.wait():
            break
        _within_limits(crowd, budgets)
        _nobody_waits_in_vain(crowd, waiting)
    assert len(crowd.entered) == asked
    assert all(budget.used == budget.held == len(budget.waiting) == 0 for budget in budgets)


def _within_limits(crowd: Crowd, budgets: list[Budget]) -> None:
    inside = Counter(id(budget) for ticket in crowd.inside for budget in ticket.budgets)
    for budget in budgets:
        assert inside[id(budget)] == budget.used <= budget.places
        assert budget.held >= 0
        if budget.bucket is None:
            continue
        # Half of a minute's at once, and the rest in the course of it.
        entered = [when for when, ticket in crowd.entered if budget in ticket.budgets]
        for number, begin in enumerate(entered):
            seconds = entered[-1] - begin
            assert len(entered) - number <= budget.bucket.burst + seconds * budget.bucket.per_second + 1e-3


def _nobody_waits_in_vain(crowd: Crowd, tickets: list[Ticket]) -> None:
    """Whoever waits lacks something that is not there, or that is held for one whose turn is before."""
    for ticket in tickets:
        if ticket.lacks is not None:
            assert any(budget.free(crowd.now) < 1 for budget in ticket.budgets)
