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

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
