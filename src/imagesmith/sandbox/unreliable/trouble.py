"""How unreliable one account's doors are, and what has gone wrong so far."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What can happen to a call. The first four never reach the cloud, the next two do and the caller never hears."""

    THROTTLED = "throttled"
    ERROR = "error"
    UNAVAILABLE = "unavailable"
    RESET = "reset"
    LOST_ANSWER = "lost_answer"
    TIMED_OUT = "timed_out"
    SLOW = "slow"
    STALE = "stale"
    DOUBLED = "doubled"


@dataclass(frozen=True)
class Wanted:
    """What is to go wrong: `rate` of all calls (0 to 1), each by one of `kinds` in a sequence that `seed` gives.

    slow_s: how late a slow answer is at most. hold_s: how long a connection is kept whose answer never comes.
    stale_s: how long something that was made may be unknown.
    """

    rate: float = 0.0
    seed: int = 1
    kinds: tuple[Kind, ...] = tuple(Kind)
    slow_s: float = 3.0
    hold_s: float = 35.0
    stale_s: float = 5.0


def wanted_of(document: dict[str, Any]) -> Wanted:
    """What a request to the control door asks for; raises ValueError with the mistake."""
    known = {name: type(value) for name, value in asdict(Wanted()).items()}
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ValueError(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    values = dict(document)
    try:
        if "kinds" in values:
            values["kinds"] = tuple(Kind(kind) for kind in values["kinds"])
        values.update({name: known[name](values[name]) for name in values if name != "kinds"})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error}; kinds are {', '.join(Kind)}") from None
    if not 0 <= values.get("rate", 0) <= 1:
        raise ValueError("rate is a part of all calls, from 0 to 1")
    return Wanted(**values)


@dataclass
class Trouble:
    """The trouble of one account, shared by its doors."""

    wanted: Wanted = field(default_factory=Wanted)
    happened: Counter[str] = field(default_factory=Counter)
    # Calls that came to these doors while they were unreliable, whatever became of them.
    calls: int = 0

    def __post_init__(self) -> None:
        self.want(self.wanted)

    def want(self, wanted: Wanted) -> None:
        """From now on so; counts begin anew."""
        self.wanted = wanted
        self.happened.clear()
        self.calls = 0
        self._random = random.Random(wanted.seed)
        self._made: dict[str, float] = {}

    @property
    def is_on(self) -> bool:
        """Whether anything is to go wrong."""
        return self.wanted.rate > 0

    def next(self, possible: Iterable[Kind]) -> Kind | None:
        """What happens to this call."""
        self.calls += 1
        kinds = [kind for kind in self.wanted.kinds if kind in set(possible)]
        if not kinds or self._random.random() >= self.wanted.rate:
            return None
        kind = self._random.choice(kinds)
        self.happened[kind] += 1
        return kind

    def late_s(self) -> float:
        """How late this slow answer is."""
        return self._random.uniform(self.wanted.slow_s / 3, self.wanted.slow_s)

    def note_made(self, ids: Iterable[str]) -> None:
        """These things are there; those not heard of before are new."""
        now = time.monotonic()
        for each in ids:
            self._made.setdefault(each, now)

    def new(self) -> frozenset[str]:
        """The ids of things so new that a stale answer does not know them."""
        born_after = time.monotonic() - self.wanted.stale_s
        return frozenset(each for each, made_at in self._made.items() if made_at > born_after)

    def shown(self) -> dict[str, Any]:
        """For the control door."""
        return {**asdict(self.wanted), "calls": self.calls, "happened": dict(self.happened)}
