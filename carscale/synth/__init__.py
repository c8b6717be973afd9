"""Photos that no camera took: planned, made, and refused where they are not good enough.

In: a frozen folder's train photos, masks of their cars, what a run sees. Out: a plan of photos to
make, the bytes of each, and the reasons against those that do not pass. No torch but in
``generate``.

- ``plan``: how many photos of which class, of which parents, with which parameters.
- ``car_places``: where in a photo the car is, learned from where cars stand in all of them.
- ``make``: a photo from its parents and its parameters.
- ``generate``: the door to diffusers: image to image by a model of the user's.
- ``filters``: what speaks against a photo.

To add a method: its parameters in ``plan._parameters``, its pixels in ``make.make_photo``.

Chosen: photos join by ``curate.merge_source``, which has the near duplicates, caps, reasons and
resumes already. Rejected: a writer of its own.
Chosen: car places are learned from the run's feature maps and what all photos share: cars stand in
the middle, not in the corners. Rejected: class activation maps alone: those of a 96 px run have 3 x
3 cells. Of them a mask held for 9 of 60 train photos of lt66, of these places for 45 of 90.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
