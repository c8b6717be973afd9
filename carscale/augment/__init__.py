"""Augmentation as functions from random numbers and photo sizes to parameters; no pixels here.

In: a seed, a range of stream positions, widths and heights. Out: ``Params``, dense arrays that any
backend renders.

- ``draws``: random numbers by address.
- ``geometry``: one affine a photo, and the plan that every backend follows to render it.
- ``ops``: single ops of op lists, their ranges by paper.
- ``mixing``: pairs of photos and their shares; ``loaders`` blends.
- ``params``: the dense arrays, and those of the plain view.
- ``photo_policies``: which numbers become which parameters of one photo.
- ``policies``: all by name, and those that mix photos.

To add a policy: one function in ``photo_policies.py`` (``policies.py`` where it mixes photos), one
line in ``POLICIES``, one word in ``config.Augment.policy``. To add a slot op: a word in
``ops.SLOT_OPS``, a function in ``images.effects``, a branch in ``loaders.dali_graph``; a backend
that can't lists it as missing.

Chosen: each random number has a fixed column, so that all policies crop the same photo alike and
arms are paired. Chosen: a crop larger than the photo shrinks, aspect kept.
Rejected: torchvision's ten tries and a fallback: the number of random numbers it takes depends on
the photo.
Chosen: borders of crops lie on whole pixels (``geometry.snapped``), so that one antialiased resize
renders them in every backend alike, and at 1/2 to 1/8 of the size where libjpeg offers it.
Rejected for evaluation: whoever opens an exported model decodes whole; at 96 px 61 of the 1,153
photos of Stanford's val got another class.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
