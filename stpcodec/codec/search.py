"""Looking for the quality that comes to a goal: few tries, each where the ones before say."""

from __future__ import annotations

from dataclasses import dataclass, field

from stpcodec.codec.goals import Goal
from stpcodec.codec.qualities import HIGHEST, LOWEST, STEP

_WIDE, _INSIDE = 6.0, 0.2


@dataclass
class Search:
    """`guess` it, try it, `add` what it came to, until `settled`. step: of the qualities that are tried."""

    goal: Goal
    step: float = STEP
    known: dict[float, float] = field(default_factory=dict)

    def add(self, quality: float, value: float) -> None:
        self.known[quality] = value

    def slope(self) -> float:
        """Of the scaled value, a whole quality; between the nearest known ones on both sides of the goal, else between
        the two nearest."""
        default, steepness = self.goal.slope, 4
        below, above = self._sides()
        near = sorted(self.known, key=lambda quality: abs(self._miss(quality)))[:2]
        if below and above:
            near = [max(below), min(above)]
        if len(near) < 2 or near[0] == near[1]:
            return default
        rise = self.goal.scaled(self.known[near[0]]) - self.goal.scaled(self.known[near[1]])
        return min(steepness * default, max(default / steepness, rise / (near[0] - near[1])))

    def guess(self, slope: float | None = None) -> float:
        """The quality that should come nearest to the goal on its right side; maybe one that is known already.

        slope: a better one than that of the known points.
        """
        if not self.known:
            return (LOWEST + HIGHEST) // 2
        nearest = min(self.known, key=lambda quality: abs(self._miss(quality)))
        below, above = self._sides()
        # strictly between what is too little and what is too much, where anything is there
        low = max(below, default=LOWEST - self.step)
        high = min(above, default=HIGHEST + self.step)
        if high - low < 1.5 * self.step:
            return self.best()
        # A curve that bends would have the search crawl along from one side.
        inside = _INSIDE * (high - low) if below and above and high - low > _WIDE else self.step
        wanted = nearest - self._miss(nearest) / (slope or self.slope())
        return round(round(min(high - inside, max(low + inside, wanted)) / self.step) * self.step, 2)

    def best(self) -> float:
        """Of the known ones: the nearest that meets the goal, else the nearest."""
        good = [quality for quality, value in self.known.items() if self.goal.meets(value)]
        return min(good or self.known, key=lambda quality: abs(self.goal.deviation(self.known[quality])))

    def settled(self, slope: float) -> bool:
        """No further quality would be better, as far as can be said without trying it."""
        return self.goal.is_near(self.known[self.best()]) or self.guess(slope) in self.known

    @property
    def at_end(self) -> bool:
        """The best one is as low or as high as there is, and it is not enough."""
        best = self.best()
        value, fewer = self.known[best], self.goal.deviation(self.known[best]) > 0
        return not self.goal.meets(value) and ((best == LOWEST and fewer) or (best == HIGHEST and not fewer))

    def _sides(self) -> tuple[list[float], list[float]]:
        """The known ones that are too little, and too much."""
        below = [quality for quality in self.known if self._miss(quality) < 0]
        above = [quality for quality in self.known if self._miss(quality) > 0]
        return below, above

    def _miss(self, quality: float) -> float:
        return self.goal.scaled(self.known[quality]) - self.goal.aim
