"""Growing a data set by other people's, and keeping it clean.

In: frozen folders, sources and, with a run, what it sees in their photos. Out: a proposal a source
class and the map that people edit; new versions, merged or without duplicates; what changed, what
is wrong, how far another set lies from one's own. No torch here: predictions come in as counts,
embeddings as arrays.

- ``car_names``: make, model, body, years of a name; ``car_words`` and ``year_words``: how people
  write them.
- ``name_index``: find a base's names by parts; ``mapping``: the rules; ``naming_style``: a new
  class's name.
- ``evidence``: what a run sees, beside that.
- ``map_file``: the YAML; ``source_photos``: a source's classes and photos.
- ``choosing``: which photos join, and why the others do not; ``merging``: the new version.
- ``duplicates``: what is there twice, what leaks, what may go; ``deduping``: the same on disk.
- ``channels``: is red blue? ``condition``: what state a data set is in, for checks and pages.
- ``difference``: what changed between two versions.
- ``looking``: measure a set; ``gap``: how far another lies from it; ``telling_apart``: can a
  classifier tell; ``gap_words``: that in sentences.

To add a make's or a body's other name: one word in ``car_words``. To add a rule: a function in
``mapping``, at its place in ``_propose``'s order.

Chosen: rules on parsed names, which say why; a match must be right, all else is for a person to
choose. Rejected: a similarity score over whole names. Why: ``Audi S4 2007`` and ``Audi S4 2012``
are nearer to each other than ``VW Golf`` to ``Volkswagen Golf``.
Chosen: one letter off is a question, found by words without one letter. Rejected: difflib over all
pairs. Why: 2,000 by 2,000 classes take minutes.
Chosen: a run may choose between classes that the name leaves open. Rejected: letting it make
another year or model the same class. Why: it knows no other cars, so the nearest look-alike
always wins.
Chosen: all YAML scalars are text. Rejected: YAML's own types. Why: classes are called ``500``,
``2008`` and ``no``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carscale.curate.car_names import CarName, parse_name
    from carscale.curate.channels import CHANNEL_RULE, ChannelSign, channel_signs
    from carscale.curate.choosing import Choice, Goal, Incoming, MergeRule, Present, choose
    from carscale.curate.condition import FEW_RULE, Condition, Quality, ThinClass, inspect_data
    from carscale.curate.deduping import Deduped, Found, dedupe, find_duplicates, read_photos
    from carscale.curate.difference import Change, Difference, find_difference
    from carscale.curate.duplicates import (
        Drops,
        DuplicateGroup,
        Link,
        Photos,
        alike_groups,
        choose_drops,
        duplicate_groups,
    )
    from carscale.curate.evidence import EVIDENCE_RULE, with_predictions
    from carscale.curate.gap import ATTRIBUTES, Gap, attribute_gaps, find_gap
    from carscale.curate.gap_words import sentences
    from carscale.curate.looking import Looks, look_at
    from carscale.curate.map_file import ClassMap, map_text, read_map
    from carscale.curate.mapping import OUTCOMES, Proposal, propose_map
    from carscale.curate.merging import MERGE_LIST, Merged, Origin, merge
    from carscale.curate.source_photos import SourcePhoto, evenly, source_classes
    from carscale.curate.telling_apart import ToldApart, tell_apart

__all__ = [
    "ATTRIBUTES",
    "CHANNEL_RULE",
    "EVIDENCE_RULE",
    "FEW_RULE",
    "MERGE_LIST",
    "OUTCOMES",
    "CarName",
    "Change",
    "ChannelSign",
    "Choice",
    "ClassMap",
    "Condition",
    "Deduped",
    "Difference",
    "Drops",
    "DuplicateGroup",
    "Found",
    "Gap",
    "Goal",
    "Incoming",
    "Link",
    "Looks",
    "MergeRule",
    "Merged",
    "Origin",
    "Photos",
    "Present",
    "Proposal",
    "Quality",
    "SourcePhoto",
    "ThinClass",
    "ToldApart",
    "alike_groups",
    "attribute_gaps",
    "channel_signs",
    "choose",
    "choose_drops",
    "dedupe",
    "duplicate_groups",
    "evenly",
    "find_difference",
    "find_duplicates",
    "find_gap",
    "inspect_data",
    "look_at",
    "map_text",
    "merge",
    "parse_name",
    "propose_map",
    "read_map",
    "read_photos",
    "sentences",
    "source_classes",
    "tell_apart",
    "with_predictions",
]

_HOMES = {
    "ATTRIBUTES": "gap",
    "CHANNEL_RULE": "channels",
    "EVIDENCE_RULE": "evidence",
    "FEW_RULE": "condition",
    "MERGE_LIST": "merging",
    "OUTCOMES": "mapping",
    "CarName": "car_names",
    "Change": "difference",
    "ChannelSign": "channels",
    "Choice": "choosing",
    "ClassMap": "map_file",
    "Condition": "condition",
    "Deduped": "deduping",
    "Difference": "difference",
    "Drops": "duplicates",
    "DuplicateGroup": "duplicates",
    "Found": "deduping",
    "Gap": "gap",
    "Goal": "choosing",
    "Incoming": "choosing",
    "Link": "duplicates",
    "Looks": "looking",
    "MergeRule": "choosing",
    "Merged": "merging",
    "Origin": "merging",
    "Photos": "duplicates",
    "Present": "choosing",
    "Proposal": "mapping",
    "Quality": "condition",
    "SourcePhoto": "source_photos",
    "ThinClass": "condition",
    "ToldApart": "telling_apart",
    "alike_groups": "duplicates",
    "attribute_gaps": "gap",
    "channel_signs": "channels",
    "choose": "choosing",
    "choose_drops": "duplicates",
    "dedupe": "deduping",
    "duplicate_groups": "duplicates",
    "evenly": "source_photos",
    "find_difference": "difference",
    "find_duplicates": "deduping",
    "find_gap": "gap",
    "inspect_data": "condition",
    "look_at": "looking",
    "map_text": "map_file",
    "merge": "merging",
    "parse_name": "car_names",
    "propose_map": "mapping",
    "read_map": "map_file",
    "read_photos": "deduping",
    "sentences": "gap_words",
    "source_classes": "source_photos",
    "tell_apart": "telling_apart",
    "with_predictions": "evidence",
}


def __getattr__(name: str) -> object:
    """Import a public name's module when the name is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
