"""Which model is loaded next, and which make room for it. Pure: a situation goes in, a decision comes out.

The rules:

- A model with requests is never evicted, nor a pinned one (`keep_alive` without end), nor one that is being loaded.
- Idle models make room, the least recently used first, and no more of them than it takes. They go before the load
  begins, so that memory never holds both, and only when nothing else is waited for.
- Whoever waits longest is served next. While the longest waiting one waits for room, others may only load into room
  that it does not need, and may evict nothing.
- Where only busy models stand in the way, they are drained: they finish what they have begun, and later requests for
  them queue up behind the one that waits. When a model is loaded, all who wait for it by then are let in together. So
  every other model has at most one turn before it is the turn of the one that waits.
- What cannot be, whoever leaves, is refused at once, with the numbers.

`limit` is an upper bound for the number of models in memory, whatever room there is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto

from msgspec import Struct, field

from puna.domain.context_plan import COMFORTABLE
from puna.domain.memory import LoadPlan, Shortfall
from puna.residency.ledger import Rooms, add, claim_of, fits, subtract

Fit = Callable[[Rooms], LoadPlan | Shortfall]
"""How a model would be loaded into some room. Pure, and never worse in more room."""


class Occupant(Struct, frozen=True, kw_only=True):
    """A model that is in memory, or on its way there."""

    id: str
    claim: Mapping[str, int]
    is_busy: bool = False
    """Whether it has requests, or is being loaded for some."""
    is_pinned: bool = False
    last_used: int = 0
    """Larger is later."""


class Want(Struct, frozen=True, kw_only=True):
    """A model that requests wait for."""

    id: str
    since: int
    """When the first of them came: a number that only grows. Smaller is longer ago."""
    fit: Fit


class Situation(Struct, frozen=True, kw_only=True):
    """All that a decision depends on."""

    capacity: Rooms
    occupants: Sequence[Occupant] = ()
    leaving: Sequence[Mapping[str, int]] = ()
    """Claims of workers that are about to end; each takes a place until it has ended."""
    wants: Sequence[Want] = ()
    limit: int = 64


class Obstacle(Enum):
    """Why a model can never be loaded as things stand."""

    MEMORY = auto()
    """It is larger than what there is."""
    PINNED_MEMORY = auto()
    """Pinned models hold the memory."""
    PINNED_PLACES = auto()
    """Pinned models take all places of `limit`."""


class Refusal(Struct, frozen=True):
    """Why, and what was missing where it is memory."""

    obstacle: Obstacle
    shortfall: Shortfall | None = None
    pinned: tuple[str, ...] = ()


class Decision(Struct, frozen=True, kw_only=True):
    """What is to be done now."""

    loads: tuple[tuple[str, LoadPlan], ...] = ()
    evictions: tuple[str, ...] = ()
    """Idle models that go, for the one that waits longest."""
    refusals: tuple[tuple[str, Refusal], ...] = ()
    drained: frozenset[str] = frozenset()
    """Models that are to leave: they finish what they do, and begin nothing for who came after `drained_since`."""
    drained_since: int = 0
    head: str | None = None
    """The one that waits longest and has no room yet."""


class _Books(Struct):
    """What is left while decisions are made, one want after the other."""

    room: Rooms
    places: int
    """Free places of `limit`."""
    occupants: list[Occupant]
    """Those that are there, and those that are loaded by this decision."""
    loads: list[tuple[str, LoadPlan]] = field(default_factory=list)
    refusals: list[tuple[str, Refusal]] = field(default_factory=list)

    def load(self, want: Want, plan: LoadPlan) -> None:
        claim = claim_of(plan)
        self.loads.append((want.id, plan))
        self.occupants.append(Occupant(id=want.id, claim=claim, is_busy=True, last_used=want.since))
        self.room = subtract(self.room, claim)
        self.places -= 1


class _Way(Struct, frozen=True):
    """How the want that waits longest gets its room: who is to leave for it, and how it is loaded then."""

    gone: tuple[Occupant, ...]
    plan: LoadPlan


def decide(situation: Situation) -> Decision:
    """Return what to do for those who wait."""
    claims = [occupant.claim for occupant in situation.occupants]
    held = [*claims, *situation.leaving]
    room: Rooms = situation.capacity
    for claim in held:
        room = subtract(room, claim)
    books = _Books(room, situation.limit - len(held), list(situation.occupants))
    wants = sorted(situation.wants, key=lambda want: want.since)
    for number, want in enumerate(wants):
        way = _find_way(want, situation, books)
        if isinstance(way, Refusal):
            books.refusals.append((want.id, way))
        elif _is_open(way, books):
            books.load(want, way.plan)
        else:
            _fill_in(wants[number + 1 :], way, situation, books)
            return _decide_for_head(want, way, books)
    return Decision(loads=tuple(books.loads), refusals=tuple(books.refusals))


def _decide_for_head(head: Want, way: _Way, books: _Books) -> Decision:
    everybody = tuple(occupant.id for occupant in way.gone)
    is_held_up = any(occupant.is_busy for occupant in way.gone)
    return Decision(
        loads=tuple(books.loads),
        evictions=() if is_held_up else everybody,
        refusals=tuple(books.refusals),
        drained=frozenset(everybody),
        drained_since=head.since,
        head=head.id,
    )


def _is_open(way: _Way, books: _Books) -> bool:
    """Return whether the load can begin at once."""
    return not way.gone and books.places > 0 and fits(claim_of(way.plan), books.room)


def _find_way(want: Want, situation: Situation, books: _Books) -> _Way | Refusal:
    """Return who must go so that the want gets its room, and no more of them than that."""
    movable = sorted(
        (each for each in books.occupants if not each.is_pinned and each.id != want.id),
        key=lambda each: each.last_used,
    )
    idle = [each for each in movable if not each.is_busy]
    busy = [each for each in movable if each.is_busy]
    room = add(books.room, *situation.leaving)
    places = books.places + len(situation.leaving)
    most = places + len(idle) + len(busy)
    if most < 1:
        return Refusal(Obstacle.PINNED_PLACES, pinned=_pinned(situation))
    target = want.fit(_free(room, idle)) if places + len(idle) > 0 else None
    if isinstance(target, LoadPlan):
        return _fewest(want, room, places, idle, target)
    outcome = want.fit(_free(room, movable))
    if isinstance(outcome, Shortfall):
        return _refuse(want, situation, outcome)
    return _fewest(want, room, places, [*idle, *busy], outcome)


def _fewest(want: Want, room: Rooms, places: int, movable: Sequence[Occupant], target: LoadPlan) -> _Way:
    """Return those who must leave so that the want is loaded as well as it can be, the first in their order rather."""

    def plan_without(gone: Sequence[Occupant]) -> LoadPlan | None:
        plan = want.fit(_free(room, gone)) if places + len(gone) > 0 else None
        return plan if isinstance(plan, LoadPlan) and _worth(plan) >= _worth(target) else None

    counts = range(len(movable))
    gone = next((movable[:count] for count in counts if plan_without(movable[:count])), movable)
    for each in reversed(gone[:-1]):
        others = [other for other in gone if other is not each]
        gone = others if plan_without(others) else gone
    return _Way(tuple(gone), plan_without(gone) or target)


def _worth(plan: LoadPlan) -> tuple[int, int]:
    """Return what is worth evicting idle models for: layers on the GPU, then a comfortable context."""
    return plan.gpu_layers or 0, min(plan.context_length or COMFORTABLE, COMFORTABLE)


def _refuse(want: Want, situation: Situation, shortfall: Shortfall) -> Refusal:
    everything = want.fit(situation.capacity)
    if isinstance(everything, Shortfall):
        return Refusal(Obstacle.MEMORY, everything)
    return Refusal(Obstacle.PINNED_MEMORY, shortfall, _pinned(situation))


def _fill_in(wants: Iterable[Want], way: _Way, situation: Situation, books: _Books) -> None:
    """Load what fits beside the one that waits longest, without anybody leaving for it."""
    going = [*(each.claim for each in way.gone), *situation.leaving]
    spare = subtract(add(books.room, *going), claim_of(way.plan))
    spare_places = books.places + len(going) - 1
    for want in wants:
        devices = books.room.keys() | spare.keys()
        room = {device: min(books.room.get(device, 0), spare.get(device, 0)) for device in devices}
        plan = want.fit(room) if min(books.places, spare_places) > 0 else None
        if isinstance(plan, LoadPlan) and _worth(plan) >= _worth_of_all(want, situation):
            books.load(want, plan)
            spare = subtract(spare, claim_of(plan))
            spare_places -= 1


def _worth_of_all(want: Want, situation: Situation) -> tuple[int, int]:
    """Return the worth of a want that has everything: who is not next in turn is not squeezed in."""
    best = want.fit(situation.capacity)
    return _worth(best) if isinstance(best, LoadPlan) else (0, 0)


def _free(room: Rooms, gone: Iterable[Occupant]) -> Rooms:
    return add(room, *(each.claim for each in gone))


def _pinned(situation: Situation) -> tuple[str, ...]:
    return tuple(each.id for each in situation.occupants if each.is_pinned)
