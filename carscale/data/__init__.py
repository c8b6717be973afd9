"""Photos on disk: from a source to frozen splits, and from those to ``Split``s.

In: class folders, a table, an archive, shards or a set of ``datasets``. Out: ``train/ val/ test/``
with one flat level of class folders, a manifest, a class list, a card with the lock, or a pack of
that; then ``Splits`` for every other room.

- ``frozen``: layout and card, names, lock, splits and folds; read a frozen folder or a pack.
- ``sources``: class folders, archives, tables, shards, sets of ``datasets``; a frozen folder too.
- ``photos``: decode and measure a photo once; quality, near duplicates, duplicate groups.
- ``freezing``: a source to a frozen folder.
- ``versions``: relabel, drop, add, pack: a new folder that names its parent.

To add a kind of source: a module that makes a ``Scan``, and a line in ``sources.open_source``.

Chosen: class numbers are the order of folder names, so that HF ``imagefolder`` and torchvision give
the same labels.
Rejected: ids from whichever classes a split happens to hold.
Chosen: sizes, times and inodes in a cache of this machine tell what to hash again. Rejected: times
in the lock (a copy would break it), hashing all at each start (a million photos take minutes).
Chosen: a pack is a frozen folder of another format, and ``Split.read_bytes`` hides which. Rejected:
a loader of its own (each backend, report and preview would have to know it), smaller photos as
files (a million small files are what a slow disk is worst at).
Chosen: samples of a source are named as their file or member is, or ``<class>/<file>`` where a set
of ``datasets`` has rows; the draw of splits goes by names, so the same photos get the same splits
whatever they came in. Rejected: row numbers (other splits for each container).
Chosen: archives are read, never unpacked to names of theirs. Rejected: unpacking with a filter
(twice the room and a million files for what is decoded once).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
