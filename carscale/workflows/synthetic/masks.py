"""Masks of cars: given, or found by a run and kept. N photos, B of a batch, h and w of a mask."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import contained, disk, files, images, models, progress, synth, threads
from carscale.errors import ConfigError, ModelError
from carscale.images import composite
from carscale.runs import RunFolder
from carscale.workflows.evaluation_run import load_result
from carscale.world import name_out_of_memory, open_world

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split

FIT_PHOTOS = 200
"""Photos that car places are learned from."""
MASKS = "give masks: --masks FOLDER"
AT_ONCE = 16
MAX_OFF = 0.05
"""By how much (log of the ratio) a given mask's aspect may differ from its photo's."""
INNER_PX, RIM_PX = 192, 64
"""A photo's side before the network, and what is mirrored around it, out of its padding's reach."""


@dataclass
class Masks:
    """Masks that hold, and why the others do not.

    Attributes:
        found: Bool ``[h, w]`` by row of train.
        refused: A reason by row.
    """

    found: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def car_masks(
    train: Split, rows: Sequence[int], *, run: Path | RunFolder | None, folder: Path | None
) -> Masks:
    """Return masks of the cars in some photos of train.

    Args:
        train: The train split.
        rows: Of the photos.
        run: Finds masks that are not given.
        folder: Holds masks as ``SPLIT/CLASS/PHOTO.png`` or ``SPLIT/CLASS/PHOTO.jpg.png``, white
            where the car is; those that the run finds are added under the second name.

    Raises:
        ConfigError: Neither a run nor a folder, or a folder that is none.
        ModelError: The run's network has no feature maps.
    """
    check_source(run, folder)
    if folder is not None and not folder.exists():
        progress.note(f"--masks {folder}: is new; masks that are found will be kept there")
    masks, missing = Masks(), []
    for row in rows:
        paths = [] if folder is None else _mask_files(train, row, folder)
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            missing.append(row)
            continue
        try:
            masks.found[row] = _read_mask(path, train.sizes_N2[row].tolist())
        except (composite.BadMaskError, OSError, ValueError) as error:
            masks.refused[row] = f"mask given, {error}"
    if run is None:
        masks.refused |= dict.fromkeys(missing, "no mask is given")
        return masks
    if missing:
        _find(train, missing, RunFolder(run), folder, masks)
    return masks


def check_source(run: Path | RunFolder | None, folder: Path | None) -> None:
    """Raise where nothing can say where cars are.

    Raises:
        ConfigError: Neither a run nor a folder, or a folder that is none.
    """
    if run is None and folder is None:
        raise ConfigError(
            "--method background needs to know where the cars are",
            "give a run that finds them: --run RUN; or masks: --masks FOLDER with "
            "train/CLASS/PHOTO.png, white where the car is",
        )
    if folder is not None and not folder.is_dir() and run is None:
        raise ConfigError(
            f"--masks {folder}: no such folder",
            "name one that holds train/CLASS/PHOTO.png; or have a run find the cars: --run RUN",
        )


def _mask_files(train: Split, row: int, folder: Path) -> list[Path]:
    """Return where a photo's mask may lie in a folder; where it is written first."""
    name = str(train.paths_N[row])
    names = (f"{name}.png", Path(name).with_suffix(".png").as_posix())
    return [contained.inside(folder, one, "file") for one in names]


def _read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask that was given, of a photo of a width and a height."""
    pixels_HWC = images.decode(contained.read_named(path, max_bytes=contained.MAX_PHOTO_BYTES))
    height, width = pixels_HWC.shape[:2]
    if abs(math.log(width * size[1] / (height * size[0]))) > MAX_OFF:
        raise composite.BadMaskError(
            f"of another size: {width}x{height}, the photo {size[0]}x{size[1]}"
        )
    mask_hw = composite.fitted(pixels_HWC, composite.MASK_PX)[..., 0] > 127
    composite.check_mask(mask_hw)
    return mask_hw


def _find(
    train: Split, rows: Sequence[int], run: RunFolder, folder: Path | None, masks: Masks
) -> None:
    """Add masks that a run finds."""
    model, _, _, _ = load_result(run, run.settings().model)
    rng = np.random.Generator(np.random.Philox(0))
    teachers = rng.permutation(len(train))[:FIT_PHOTOS].tolist()
    with (
        open_world(precision="fp32") as world,
        images.quiet_decoders(),
        ThreadPoolExecutor(threads.num_cores(), "carscale-masks") as pool,
        name_out_of_memory(world, f"{AT_ONCE} photos of {INNER_PX + 2 * RIM_PX} px"),
    ):
        model = models.for_scoring(model.to(world.device).eval(), INNER_PX + 2 * RIM_PX)
        with progress.bar("learn where cars stand", len(teachers), unit="photos") as advance:
            seen = list(_features(train, teachers, model, pool, advance))
        if len(seen) < 20:
            raise ModelError(
                f"{train.root}: {len(seen)} photos of train can be read; to find cars by a run "
                "takes 20",
                MASKS,
            )
        try:
            places = synth.fit_places(np.stack([features for _, _, features in seen]))
        except ValueError as error:
            raise ModelError(f"{run}: its feature maps tell no places: {error}", MASKS) from error
        del seen

        def cut(one: tuple[int, NDArray[np.uint8], NDArray[np.float32]]) -> tuple[int, Any]:
            row, pixels_HWC, features_hwD = one
            try:
                car_hw = synth.car_probability(places, features_hwD[None])[0]
                return row, composite.cut_out(pixels_HWC, car_hw)
            except composite.BadMaskError as error:
                return row, str(error)

        with progress.bar("cut out cars", len(rows), unit="photos") as advance:
            photos = _features(train, rows, model, pool, advance)
            for row, found in threads.in_order(pool, cut, photos, ahead=2 * AT_ONCE):
                if isinstance(found, str):
                    masks.refused[row] = found
                    continue
                masks.found[row] = found
                if folder is not None:
                    _write_mask(_mask_files(train, row, folder)[0], found)
    unread = set(rows) - masks.found.keys() - masks.refused.keys()
    masks.refused |= dict.fromkeys(sorted(unread), "can't be read")


def _features(
    train: Split,
    rows: Sequence[int],
    model: models.Classifier,
    pool: ThreadPoolExecutor,
    advance: Any,  # noqa: ANN401 - a progress bar's
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.float32]]]:
    """Yield row, pixels and feature maps of photos that can be read."""
    import torch

    def read(row: int) -> tuple[int, Any, Any]:
        try:
            pixels_HWC = composite.fitted(images.decode(train.read_bytes(row)), 4 * INNER_PX)
        except (OSError, ValueError):
            return row, None, None
        return row, pixels_HWC, composite.rimmed(pixels_HWC, INNER_PX, RIM_PX)

    for start in range(0, len(rows), AT_ONCE):
        part = list(pool.map(read, rows[start : start + AT_ONCE]))
        good = [one for one in part if one[1] is not None]
        if good:
            pixels_BHWC = torch.from_numpy(np.stack([rimmed for _, _, rimmed in good]))
            with torch.inference_mode():
                maps_BhwD = model.feature_cells(
                    pixels_BHWC.permute(0, 3, 1, 2).to(model.mean_C11.device)
                )
            rim = round(RIM_PX / (INNER_PX + 2 * RIM_PX) * maps_BhwD.shape[1])
            inner = maps_BhwD[:, rim:-rim, rim:-rim].cpu().numpy()
            for (row, pixels_HWC, _), features_hwD in zip(good, inner, strict=True):
                yield row, pixels_HWC, features_hwD
        advance(len(part))


def _write_mask(path: Path, mask_hw: NDArray[np.bool_]) -> None:
    """Keep a mask as a picture."""
    disk.make_folder(path.parent)
    grey_hw3 = np.repeat((255 * mask_hw.astype(np.uint8))[..., None], 3, axis=-1)
    files.write_atomic(path, images.encode_png(grey_hw3))


def counted(refused: Mapping[int, str]) -> str:
    """Return how many masks were refused, and the commonest reasons."""
    kinds: dict[str, int] = {}
    for reason in refused.values():
        kind = reason.partition(":")[0]
        kinds[kind] = kinds.get(kind, 0) + 1
    most = sorted(kinds.items(), key=lambda one: (-one[1], one[0]))[:3]
    return ", ".join(f"{count} {kind}" for kind, count in most)
