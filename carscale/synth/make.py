"""A synthetic photo from its parents and its parameters: the same bytes for the same."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import images
from carscale.augment.draws import generator
from carscale.data import Scan, SourceFile
from carscale.images import composite
from carscale.synth.plan import PlannedPhoto, SynthRule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.synth.generate import Generator
    from carscale.types import Split

LONGER_PX = 800
"""Of a photo that is composed: more shows the seams, and training reads less."""
QUALITY = 92


@dataclass(frozen=True, eq=False)
class Maker:
    """What makes the photos of a plan.

    Attributes:
        train: The train split.
        rule: What is to be made.
        masks: Of cars, by row; for ``background``.
        generator: For ``generate``.
        licences: Of photos, by key; a photo that is made has those of its parents.
    """

    train: Split
    rule: SynthRule
    masks: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    generator: Generator | None = None
    licences: Mapping[str, str] = field(default_factory=dict)

    def scan(self, planned: list[PlannedPhoto]) -> Scan:
        """Return the photos as files of a source; each is made when it is read."""
        found = Scan(name=f"synthetic {self.rule.method}")
        for photo in planned:
            train = self.train
            car_class = train.classes[int(train.labels_N[photo.row])]
            key = str(train.keys_N[photo.row])
            name = f"{car_class.folder}/{key}-{self.rule.method}-{photo.number}.jpg"
            origin = self.provenance(photo)
            licences = {self.licences[key] for key in origin["parents"] if key in self.licences}
            found.files.append(
                SourceFile(
                    None,
                    name,
                    car_class.name,
                    read=partial(self.make, photo),
                    known=(
                        ("synthetic_method", self.rule.method),
                        ("synthetic", json.dumps(origin, sort_keys=True)),
                        ("licence", " + ".join(sorted(licences))),
                    ),
                )
            )
        found.put_in_order()
        return found

    def provenance(self, photo: PlannedPhoto) -> dict[str, Any]:
        """Return what a photo is made of, as the manifest's column ``synthetic`` holds it."""
        rows = [photo.row, *([photo.ground] if photo.ground >= 0 else [])]
        found = {
            "parents": [str(self.train.keys_N[row]) for row in rows],
            "parameters": dict(photo.parameters),
            "seed": self.rule.seed,
        }
        if self.generator is not None:
            found |= self.generator.about(self._name(photo))
        return found

    def make(self, photo: PlannedPhoto) -> bytes:
        """Return a photo's bytes, a JPEG; from many threads at once.

        Raises:
            OSError: A parent can't be read.
        """
        car_HWC = self._decoded(photo.row)
        if self.rule.method == "background":
            masks = self.masks[photo.row], self.masks[photo.ground]
            return put_on(
                car_HWC, masks[0], self._decoded(photo.ground), masks[1], photo.parameters
            )
        if self.generator is not None:
            seed = int(photo.parameters["seed"])
            made_HWC = self.generator.change(car_HWC, self._name(photo), seed)
            return images.encode_jpeg(made_HWC, quality=QUALITY)
        key = str(self.train.keys_N[photo.row])
        return make_photo(car_HWC, self.rule.method, photo.parameters, key)

    def _decoded(self, row: int) -> NDArray[np.uint8]:
        """Return a parent's pixels; a giant is made smaller."""
        try:
            pixels_HWC = images.decode(self.train.read_bytes(row))
        except ValueError as error:
            raise OSError(f"{self.train.where(row)} can't be read: {error}") from error
        return composite.fitted(pixels_HWC, composite.LARGEST_PX)

    def digest(self, planned: list[PlannedPhoto]) -> str:
        """Return a hash of all that decides on the photos' pixels."""
        digest = hashlib.sha256()
        for photo in planned:
            digest.update(json.dumps(self.provenance(photo), sort_keys=True).encode())
            for row in (photo.row, photo.ground):
                digest.update(np.packbits(self.masks[row]).tobytes() if row in self.masks else b"")
        return digest.hexdigest()

    def _name(self, photo: PlannedPhoto) -> str:
        """Return the name of a photo's class."""
        return self.train.classes[int(self.train.labels_N[photo.row])].name


def make_photo(
    pixels_HWC: NDArray[np.uint8], method: str, parameters: Mapping[str, Any], key: str
) -> bytes:
    """Return a photo changed by ``viewpoint`` or ``degrade``, a JPEG.

    Args:
        pixels_HWC: The parent, RGB.
        method: Which.
        parameters: ``yaw``, ``pitch``, ``roll`` in degrees; or ``exposure`` in stops, ``scale`` of
            the sides, ``blur`` as a share of the longer side at ``angle`` degrees, ``noise`` in
            grey levels, JPEG ``quality``.
        key: The parent's, which its noise is drawn by.
    """
    if method == "viewpoint":
        turned = images.turn_camera(
            pixels_HWC, parameters["yaw"], parameters["pitch"], parameters["roll"]
        )
        return images.encode_jpeg(turned, quality=QUALITY)
    height, width = pixels_HWC.shape[:2]
    taken = images.expose(pixels_HWC, parameters["exposure"])
    length = parameters["blur"] * max(height, width)
    taken = images.motion_blur(taken, length, parameters["angle"])
    taken = composite.fitted(taken, max(64, math.ceil(parameters["scale"] * max(height, width))))
    rng = generator(0, f"noise {key} {sorted(parameters.items())}")
    noise_HWC = rng.standard_normal(taken.shape, dtype=np.float32)
    taken = images.add_noise(taken, noise_HWC, parameters["noise"])
    return images.encode_jpeg(taken, quality=parameters["quality"])


def put_on(
    car_HWC: NDArray[np.uint8],
    mask_hw: NDArray[np.bool_],
    ground_HWC: NDArray[np.uint8],
    hidden_hw: NDArray[np.bool_],
    parameters: Mapping[str, float],
) -> bytes:
    """Return a car on another photo's ground, a JPEG of at most ``LONGER_PX``.

    Args:
        car_HWC: The photo of the car, RGB.
        mask_hw: Where it is there.
        ground_HWC: The photo of the ground.
        hidden_hw: Where its own car is.
        parameters: ``scale``, ``left``, ``top``: of ``images.composite.Place``.
    """
    share = min(1.0, LONGER_PX / max(ground_HWC.shape[:2]))
    ground_HWC = composite.fitted(ground_HWC, LONGER_PX)
    place = composite.Place(*(share * parameters[name] for name in ("scale", "left", "top")))
    made_HWC = composite.put_on_ground(car_HWC, mask_hw, ground_HWC, hidden_hw, place)
    return images.encode_jpeg(made_HWC, quality=QUALITY)
