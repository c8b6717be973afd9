"""What a run sees in a source's photos, beside what the names say. Counts in, proposals out.

A run knows the base's classes alone and puts every car into one of them, the nearest look-alike. So
it may choose between classes that a name leaves open, and doubt a match; it can't make another year
or another model the same class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from carscale import stats
from carscale.curate.mapping import Proposal

MIN_PHOTOS = 5
MAJORITY = 0.5
NUM_NAMED = 3

EVIDENCE_RULE = (
    f"a run decides when it saw {MIN_PHOTOS} photos or more and the lower end of the 95 % interval "
    f"(Jeffreys) of one class's share is above {MAJORITY:g}"
)
"""When what a run sees counts, in words."""


def with_predictions(
    proposals: Sequence[Proposal], seen: Mapping[str, Mapping[str, int]]
) -> list[Proposal]:
    """Return proposals with what a run sees in each source class's photos.

    An *ambiguous* one becomes a match when the run clearly sees one class that its name doesn't
    contradict. A *match* becomes ambiguous when the run clearly sees another class; where it sees
    another one most often, unclearly, the reason warns. A *new* class's note names its look-alikes.

    Args:
        proposals: By names.
        seen: By source class, how many photos each base class was predicted for.

    Example:
        >>> from carscale.curate.mapping import propose_map
        >>> found = propose_map(["Audi S4 Sedan 2007", "Audi S4 Sedan 2012"], ["Audi S4 Sedan"])
        >>> one = with_predictions(found, {"Audi S4 Sedan": {"Audi S4 Sedan 2012": 12}})[0]
        >>> one.outcome, one.target
        ('match', 'Audi S4 Sedan 2012')
    """
    return [_with_seen(one, Counter(seen.get(one.source, {}))) for one in proposals]


def _with_seen(proposal: Proposal, counts: Counter[str]) -> Proposal:
    """Return a proposal with what was seen in its photos."""
    num_seen = sum(counts.values())
    if not num_seen:
        return replace(proposal, note="the run saw no photo")
    noted = replace(proposal, note=f"the run sees {_most_seen(counts)}")
    if proposal.outcome == "ambiguous":
        return _chosen(noted, counts)
    if proposal.outcome == "match":
        return _doubted(noted, counts)
    if proposal.outcome == "make":
        num_own = sum(counts[name] for name in proposal.candidates)
        text = f"the run sees the make in {num_own} of {num_seen} photos"
        return replace(noted, note=f"{text}; most often {_most_seen(counts)}")
    return noted


def _chosen(proposal: Proposal, counts: Counter[str]) -> Proposal:
    """Match an ambiguous proposal with the class that the run clearly sees."""
    name = _clear_majority(counts)
    if name is None or name not in proposal.candidates:
        return proposal
    text = f"the run sees {name} in {_share(counts, name)}"
    if name not in proposal.fitting:
        return replace(proposal, note=f"{text}, but the name says another car")
    reason = f"{text}; by name alone: {proposal.reason}"
    score = round(_lower(counts, name), 2)
    return replace(
        proposal,
        outcome="match",
        target=name,
        score=score,
        reason=reason,
        candidates=(),
        fitting=(),
    )


def _doubted(proposal: Proposal, counts: Counter[str]) -> Proposal:
    """Warn of a match, or take it back, where the run sees something else."""
    target = str(proposal.target)
    other, num_other = counts.most_common(1)[0]
    if other == target or num_other == counts[target] or sum(counts.values()) < MIN_PHOTOS:
        return proposal
    text = f"the run sees {other} in {_share(counts, other)}, this in {counts[target]}"
    if _clear_majority(counts) != other:
        return replace(proposal, reason=f"{proposal.reason}; look at it: {text}")
    return replace(
        proposal,
        outcome="ambiguous",
        target=None,
        reason=f"by name {target} ({proposal.reason}), but {text}",
        candidates=(target, other),
    )


def _clear_majority(counts: Counter[str]) -> str | None:
    """Return the class that the run sees in most photos beyond doubt."""
    name, _ = counts.most_common(1)[0]
    is_clear = sum(counts.values()) >= MIN_PHOTOS and _lower(counts, name) > MAJORITY
    return name if is_clear else None


def _lower(counts: Counter[str], name: str) -> float:
    """Return the lower end of the interval of a class's share."""
    low, _ = stats.jeffreys(counts[name], sum(counts.values()))
    return float(low)


def _share(counts: Counter[str], name: str) -> str:
    """Return ``12 of 14 photos``."""
    return f"{counts[name]} of {sum(counts.values())} photos"


def _most_seen(counts: Counter[str]) -> str:
    """Return the classes seen most, with their counts."""
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:NUM_NAMED]
    text = ", ".join(f"{name} ({count})" for name, count in most if count)
    return f"{text} in {sum(counts.values())} photos"
