"""A demo set of invented cars, drawn on the spot: no download, and every problem in it is known.

Comes in: a folder, a number of classes and images, a seed. Goes out: class folders of photos and
``truth.json``.

    bodies.py, makes.py   the classes: silhouettes, each make's face, look-alikes, counts
    scene.py, backdrop.py one photo's viewpoint, light, paint and place
    car.py, face.py       one car, drawn back to front
    skin.py, shapes.py    a body's surface; outlines of lamps, grilles, rims
    camera.py, brush.py   3D to pixels
    plant.py              which file shows what, and which problem it has
    build.py              the processes and the folder

To add a make: one entry in ``makes.MAKES`` and one in ``makes.MODELS``. To add a place: one
function in ``backdrop.py``.

Decision: one 3D surface per body, projected, rather than flat drawings per view.
Chosen: some 1000 lit panels and marks in car coordinates; any viewpoint is right, 80 ms a photo.
Rejected: sprites per view (a jump between views is a shortcut that a model learns); a renderer as a
dependency. Why: a classifier must learn grille, lamps and silhouette from all sides, as on real
photos. How hard it is: the constants on top of ``makes.py`` and ``scene.py``.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
