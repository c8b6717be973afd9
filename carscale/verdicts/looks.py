"""A comparison that is looked at while its runs come in: what is settled, what is hopeless.

Each look spends a part of the 5 % (``stats.nominal_levels``): its verdicts are made with the level
that is left to it. What a look settles stays settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from carscale import stats
from carscale.verdicts.power import chance_to_settle
from carscale.verdicts.study_result import ArmResult, StudyResult
from carscale.verdicts.verdict import ALPHA, Verdict

SETTLED = ("helps", "hurts", "no difference")
FUTILE = 0.1
"""An arm that further runs would settle with less than this probability gets no more.

One arm, the likeliest to be settled, goes on in any case: what the others leave is its.
"""
FUTILE_FREEDOM = 6
"""Degrees of freedom of the spread of seeds below which nothing is called hopeless."""
LOOK_FREEDOM = 4
"""And below which no look settles or spends anything, but the last: levels are of normal sums."""


@dataclass(frozen=True)
class Looks:
    """What the looks so far have found.

    Attributes:
        fractions: Part of the planned runs that was in, look by look.
        verdicts: Of the arms that a look settled.
        notes: Why an arm gets no more runs.
    """

    fractions: tuple[float, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def alpha(self, fraction: float) -> float:
        """Return the error that a look after a fraction of the runs may spend."""
        return stats.nominal_levels([*self.fractions, fraction], ALPHA)[-1]

    def after(
        self,
        verdicts: Mapping[str, Verdict],
        fraction: float,
        more: Mapping[str, int],
        *,
        margin: float,
    ) -> Looks:
        """Return the looks with one more; as they were, where the spread of seeds is hardly known.

        Args:
            verdicts: Of all arms, made with ``alpha(fraction)``.
            fraction: Part of the planned runs that is in.
            more: Runs that each arm could still get; arms that are not named are left as they are.
            margin: A smaller difference counts as none.
        """
        if fraction < 1 and not any(_is_known(found, LOOK_FREEDOM) for found in verdicts.values()):
            return self
        number = len(self.fractions) + 1
        settled, notes = dict(self.verdicts), dict(self.notes)
        for name, verdict in verdicts.items():
            if verdict.word in SETTLED and name not in settled:
                settled[name] = verdict
                notes[name] = f"settled at look {number}: no more runs"
        seen = Looks((*self.fractions, fraction), settled, notes)
        chances = seen.chances(verdicts, more, margin=margin)
        best = max(chances, key=lambda name: chances[name], default="")
        hopeless = {
            name: f"no more runs since look {number}: {more[name]} more would settle it with a "
            f"probability of {100 * chance:.0f} %"
            for name, chance in chances.items()
            if name != best
            and more[name]
            and chance < FUTILE
            and _is_known(verdicts[name], FUTILE_FREEDOM)
        }
        return replace(seen, notes=notes | hopeless)

    def is_open(self, name: str) -> bool:
        """Return whether an arm may get more runs."""
        return name not in self.notes

    def chances(
        self, verdicts: Mapping[str, Verdict], more: Mapping[str, int], *, margin: float
    ) -> dict[str, float]:
        """Return how probably so many more runs settle each arm that is open."""
        final = 1 - ALPHA if self.is_over else 1 - self.alpha(1.0)
        level = 1 - (1 - final) / max(1, len(verdicts))
        return {
            name: chance_to_settle(
                verdict.difference,
                more=more[name],
                more_base=more[name],
                margin=margin,
                level=level,
                final=final,
            )
            for name, verdict in verdicts.items()
            if verdict.difference and name in more and self.is_open(name)
        }

    @property
    def is_over(self) -> bool:
        """Return whether all error is spent."""
        return bool(self.fractions) and self.fractions[-1] >= 1

    def shown(self, result: StudyResult) -> StudyResult:
        """Return a result in which settled arms keep the verdict that settled them."""
        arms = [self._shown(arm) for arm in result.arms]
        return replace(result, arms=arms, about=replace(result.about, looks=self.fractions))

    def _shown(self, arm: ArmResult) -> ArmResult:
        """Return an arm with its settled verdict and its note."""
        verdict = self.verdicts.get(arm.name, arm.verdict)
        notes: Sequence[str] = [self.notes[arm.name]] if arm.name in self.notes else []
        return replace(arm, verdict=verdict, notes=(*arm.notes, *notes))


def _is_known(verdict: Verdict, freedom: int) -> bool:
    """Tell whether the spread of seeds is known with so many degrees of freedom."""
    return verdict.difference is not None and verdict.difference.spread.freedom >= freedom
