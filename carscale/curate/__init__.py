"""Growing a data set by other people's, and keeping it clean.

In: frozen folders, sources and, with a run, what it sees in their photos. Out: a proposal a source
class and the map that people edit; new versions, merged or without duplicates; what changed, what
is wrong, how far another set lies from one's own. No torch here: predictions come in as counts,
embeddings as arrays.

- ``name_index``: find a base's names by parts; ``mapping``: the rules; ``naming_style``: a new
  class's name; ``model_votes``: what a run sees in a source's photos.
- ``map_file``: the YAML.
- ``merge_rules``: which photos join, and why the others do not; ``merge``: the new version.
- ``dedupe``: duplicates on disk; ``drops``: which of them a new version leaves out.
- ``rgb_swap``: is red blue? ``audit``: what state a data set is in, for checks and pages.
- ``difference``: what changed between two versions.
- ``measure``: statistics of a set; ``domain_gap``: how far another lies from it;
  ``two_sample_test``: can a classifier tell; ``domain_gap_result``: that in sentences.

To add a make's or a body's other name: one word in ``car_names.words``. To add a rule: a function
in ``mapping``, at its place in ``_propose``'s order.

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

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
