"""What DALI runs: the steps of ``rendering``, as a graph; the door to nvidia.dali.

The graph knows nothing of policies: it takes encoded photos and dense arrays of parameters, and
gives uint8 squares. A file of its own, since DALI reads this source for the conditionals.

Steps differ from ``rendering`` in these: DALI decodes just the region (the CPU reads all Huffman
codes before it all the same), always at full size; mirrors by a turned region of the resize; fills
outside a warped photo by one padded pixel that the border repeats, since ``warp_affine`` takes one
grey value only.

Chosen to evaluate: each axis shrunk by itself and rounded, as torch and Pillow do it. In
one step DALI keeps fractions between the axes: 27 of 1,226 predictions flipped, and 4 in two steps.
For training one step: twice the images/s, and a mean difference of 0.2 grey levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.pipeline import do_not_convert

from carscale import images
from carscale.augment import PLATE_SPARE_PX, SLOT_OPS
from carscale.images.effects import CENTRE_33, SMOOTH_33

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.augment import Params


INTERPOLATIONS = {"bilinear": types.INTERP_LINEAR, "bicubic": types.INTERP_CUBIC}

KINDS: dict[str, tuple[int, Any]] = {
    **dict.fromkeys(("anchor", "shape", "place", "window"), (1, np.int32)),
    **dict.fromkeys(("across", "begin", "end", "top", "bottom", "small"), (1, np.float32)),
    "erase": (1, np.float32),
    "op": (0, np.int32),
    "magnitude": (0, np.float32),
    "colour": (0, np.float32),
    "matrix": (2, np.float32),
}
"""Axes without B, and type, of each input by the start of its name."""

DALI_TYPES = {np.int32: types.INT32, np.float32: types.FLOAT}


@dataclass(frozen=True)
class GraphSpec:
    """What a graph has to do; equal specs build equal graphs.

    Attributes:
        side_px, fill, interpolation: Of the view.
        reads_paths: Whether photos come as paths of files, not as their bytes.
        cuts: Whether a region is decoded, not the whole photo.
        warps: Whether samples may be turned; else each is one resize.
        pads: Whether a straight sample may leave a border free, or stick out.
        rounds_twice: Whether each axis is shrunk by itself: dearer, and nearer to torch.
        has_colour, has_noise, erases: Whether these parameters come.
        ops: Names of ops in the slots.
        num_slots: Op slots a sample.
    """

    side_px: int
    fill: tuple[int, int, int]
    interpolation: str
    reads_paths: bool
    cuts: bool
    warps: bool
    pads: bool
    rounds_twice: bool
    has_colour: bool
    erases: bool
    ops: tuple[str, ...]
    num_slots: int

    @property
    def has_noise(self) -> bool:
        """Tell whether a slot may add noise."""
        return "noise" in self.ops


Inputs = dict[str, Any]


def dense(params: Params, spec: GraphSpec) -> dict[str, NDArray[Any]]:
    """Return a batch's parameters as the arrays that a graph takes, first axis B, y before x.

    Raises:
        ValueError: The batch needs a step that the graph lacks.
    """
    plan = params.geometry
    is_free = spec.warps or spec.pads
    if (plan.is_warped_B.any() and not spec.warps) or (
        (plan.small_B2 != spec.side_px).any() and not is_free
    ):
        raise ValueError(f"a batch that does not fit its graph: {spec}")
    arrays: dict[str, NDArray[Any]] = {}
    if spec.cuts:
        arrays["anchor"] = plan.region_B4[:, :2]
        arrays["shape"] = plan.region_B4[:, 2:] - plan.region_B4[:, :2]
    turns_B = plan.is_mirrored_B & ~plan.is_warped_B
    begin_B2, end_B2 = np.zeros((len(params), 2)), plan.span_B2[:, ::-1].copy()
    begin_B2[turns_B, 1], end_B2[turns_B, 1] = end_B2[turns_B, 1], 0
    arrays |= {"begin": begin_B2, "end": end_B2}
    if spec.rounds_twice:
        height_B = plan.region_B4[:, 3] - plan.region_B4[:, 1]
        arrays["across"] = np.stack([height_B, plan.small_B2[:, 0]], axis=1)
        arrays["top"] = np.zeros((len(params), 2))
        arrays["bottom"] = np.stack([plan.span_B2[:, 1], plan.small_B2[:, 0]], axis=1)
        end_B2[:, 0] = height_B
    if spec.warps or spec.pads:
        arrays["small"] = plan.small_B2[:, ::-1]
        left_B = plan.place_B2[:, 0].copy()
        left_B[turns_B] = spec.side_px - left_B[turns_B] - plan.small_B2[turns_B, 0]
        place_B2 = np.stack([plan.place_B2[:, 1], left_B], axis=1)
    if spec.warps:
        matrix_B23 = plan.warp_B23.copy()
        straight_B = ~plan.is_warped_B
        matrix_B23[straight_B, :, 2] = -place_B2[straight_B, ::-1]  # whole pixels: an exact copy
        matrix_B23[:, :, 2] += 1  # the padded pixel
        arrays["matrix"] = matrix_B23
    elif spec.pads:
        arrays["place"] = -place_B2
    arrays |= _photometric(params, spec)
    return {n: np.ascontiguousarray(array, KINDS[_kind(n)][1]) for n, array in arrays.items()}


def _kind(name: str) -> str:
    """Return a name without the number or letter behind it."""
    return name.partition("_")[0]


def _photometric(params: Params, spec: GraphSpec) -> dict[str, NDArray[Any]]:
    """Return the arrays that change colours."""
    arrays: dict[str, NDArray[Any]] = {}
    if spec.has_colour and params.colour_B3 is not None:
        for name, values_B in zip("bcs", params.colour_B3.T, strict=True):
            arrays[f"colour_{name}"] = values_B
    if spec.num_slots and params.ops_BS is not None and params.magnitudes_BS is not None:
        for slot in range(spec.num_slots):
            arrays[f"op_{slot}"] = params.ops_BS[:, slot]
            arrays[f"magnitude_{slot}"] = params.magnitudes_BS[:, slot]
    if spec.has_noise and params.noise_B2 is not None:
        arrays["window"] = params.noise_B2[:, ::-1]
    if spec.erases and params.erase_B4 is not None:
        arrays["erase_at"] = params.erase_B4[:, 1::-1]
        arrays["erase_size"] = params.erase_B4[:, :1:-1]
    return arrays


def build_graph(
    source: Callable[[], tuple[Any, ...]],
    names: tuple[str, ...],
    spec: GraphSpec,
    *,
    device_id: int | None,
    max_batch_size: int,
    num_threads: int,
    prefetch: int,
    hints: dict[str, int] | None = None,
) -> Any:  # noqa: ANN401 - a DALI pipeline
    """Return a built pipeline whose outputs are the squares and the photos' shapes.

    Args:
        source: Called once a batch; returns the encoded photos (a list) and then the arrays of
            ``dense``, in the order of ``names``; raises ``StopIteration`` at the end.
        names: Of the arrays, after ``encoded``.
        spec: What to do.
        device_id: A GPU, or ``None`` for the CPU.
        max_batch_size: Samples a batch, at most.
        num_threads: Threads of the CPU part.
        prefetch: Batches made ahead.
        hints: Arguments of the GPU decoder (``preallocate_width_hint`` and so on).
    """
    pipe = _graph(
        source,
        names,
        spec,
        is_gpu=device_id is not None,
        hints=hints or {},
        batch_size=max_batch_size,
        num_threads=num_threads,
        device_id=device_id,
        prefetch_queue_depth=prefetch,
    )
    pipe.build()
    return pipe


@pipeline_def(enable_conditionals=True)
def _graph(
    source: Callable[[], tuple[Any, ...]],
    names: tuple[str, ...],
    spec: GraphSpec,
    is_gpu: bool,
    hints: dict[str, int],
) -> tuple[Any, Any]:
    """State the graph: input, geometry, colours."""
    inputs = _inputs(source, names)
    encoded = inputs["encoded"]
    if spec.reads_paths:
        encoded = fn.io.file.read(encoded)
    pixels = _decoded(encoded, inputs, spec, is_gpu, hints)
    pixels = _squared(pixels, inputs, spec)
    if spec.has_colour:
        pixels = fn.color_twist(
            pixels,
            brightness=inputs["colour_b"],
            contrast=inputs["colour_c"],
            saturation=inputs["colour_s"],
        )
    for slot in range(spec.num_slots):
        pixels = _slot(pixels, inputs[f"op_{slot}"], inputs[f"magnitude_{slot}"], inputs, spec)
    if spec.erases:
        fill = [float(value) for value in spec.fill]
        at, size = inputs["erase_at"], inputs["erase_size"]
        pixels = fn.erase(pixels, anchor=at, shape=size, axis_names="HW", fill_value=fill)
    return pixels, fn.peek_image_shape(encoded, adjust_orientation=False)


@do_not_convert
def _inputs(source: Callable[[], tuple[Any, ...]], names: tuple[str, ...]) -> Inputs:
    """Return what comes from Python, by name."""
    kinds = [KINDS[_kind(name)] for name in names]
    nodes = fn.external_source(
        source=source,
        num_outputs=1 + len(names),
        batch=True,
        dtype=[types.UINT8, *(DALI_TYPES[kind] for _, kind in kinds)],
        ndim=[1, *(ndim for ndim, _ in kinds)],
    )
    return dict(zip(("encoded", *names), nodes, strict=True))


def _decoded(
    encoded: Any,  # noqa: ANN401
    inputs: Inputs,
    spec: GraphSpec,
    is_gpu: bool,
    hints: dict[str, int],
) -> Any:  # noqa: ANN401
    """Decode photos, or a region of each."""
    wanted = {
        "device": "mixed" if is_gpu else "cpu",
        "output_type": types.RGB,
        "adjust_orientation": False,  # frozen photos are upright
        "jpeg_fancy_upsampling": True,  # as libjpeg does it
        "affine": False,  # ranks of one machine would tie their threads to the same cores
        **hints,
    }
    if not spec.cuts:
        return fn.decoders.image(encoded, **wanted)
    return fn.decoders.image_slice(
        encoded,
        inputs["anchor"],
        inputs["shape"],
        axis_names="WH",
        normalized_anchor=False,
        normalized_shape=False,
        **wanted,
    )


def _squared(pixels: Any, inputs: Inputs, spec: GraphSpec) -> Any:  # noqa: ANN401
    """Shrink antialiased, then warp or place."""
    side = spec.side_px
    is_free = spec.warps or spec.pads
    size = inputs["small"] if is_free else [side, side]
    if spec.rounds_twice:
        pixels = _resized(pixels, inputs["across"], inputs["begin"], inputs["end"], spec)
        pixels = _resized(pixels, size, inputs["top"], inputs["bottom"], spec)
    else:
        pixels = _resized(pixels, size, inputs["begin"], inputs["end"], spec)
    fill = [float(value) for value in spec.fill]
    if spec.warps:
        padded = fn.slice(
            pixels,
            start=[-1, -1],
            end=fn.cast(inputs["small"], dtype=types.INT32) + 1,
            axis_names="HW",
            out_of_bounds_policy="pad",
            fill_values=fill,
        )
        return fn.warp_affine(padded, matrix=inputs["matrix"], size=[side, side])
    if not spec.pads:
        return pixels
    return fn.slice(
        pixels,
        start=inputs["place"],
        shape=[side, side],
        axis_names="HW",
        out_of_bounds_policy="pad",
        fill_values=fill,
    )


def _resized(pixels: Any, size: Any, begin: Any, end: Any, spec: GraphSpec) -> Any:  # noqa: ANN401
    """Resize a region, antialiased."""
    how = INTERPOLATIONS[spec.interpolation]
    return fn.resize(
        pixels, size=size, roi_start=begin, roi_end=end, interp_type=how, antialias=True
    )


def _slot(pixels: Any, op: Any, magnitude: Any, inputs: Inputs, spec: GraphSpec) -> Any:  # noqa: ANN401
    """Apply the op that each sample's slot names."""
    for name in spec.ops:
        if op == SLOT_OPS.index(name):
            pixels = RENDERS[name](pixels, magnitude, inputs, spec)
    return pixels


def _noise(pixels: Any, level: Any, inputs: Inputs, spec: GraphSpec) -> Any:  # noqa: ANN401
    """Add the sample's window of the plate."""
    plate = types.Constant(images.noise_plate(spec.side_px + PLATE_SPARE_PX))
    side = spec.side_px
    window = fn.slice(plate, start=inputs["window"], shape=[side, side], axes=[0, 1])
    return fn.cast(pixels + level * window, dtype=types.UINT8)


def _solarize(pixels: Any, threshold: Any, inputs: Inputs, spec: GraphSpec) -> Any:  # noqa: ANN401
    """Invert values from a threshold on."""
    is_high = fn.cast(pixels >= threshold, dtype=types.UINT8)
    return fn.cast(is_high * (255 - pixels) + (1 - is_high) * pixels, dtype=types.UINT8)


def _posterize(pixels: Any, bits: Any, inputs: Inputs, spec: GraphSpec) -> Any:  # noqa: ANN401
    """Keep the upper bits."""
    step = fn.cast(2.0 ** (8.0 - bits), dtype=types.INT32)
    return pixels & fn.cast(256 - step, dtype=types.UINT8)


def _sharpness(pixels: Any, factor: Any, inputs: Inputs, spec: GraphSpec) -> Any:  # noqa: ANN401
    """Move pixels away from their smoothed value."""
    kernel = factor * types.Constant(CENTRE_33) + (1.0 - factor) * types.Constant(SMOOTH_33)
    return fn.filter(pixels, kernel)


RENDERS: dict[str, Callable[..., Any]] = {
    "brightness": lambda pixels, m, inputs, spec: fn.color_twist(pixels, brightness=m),
    "contrast": lambda pixels, m, inputs, spec: fn.color_twist(pixels, contrast=m),
    "saturation": lambda pixels, m, inputs, spec: fn.color_twist(pixels, saturation=m),
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "blur": lambda pixels, m, inputs, spec: fn.gaussian_blur(pixels, sigma=m),
    "noise": _noise,
    "jpeg": lambda pixels, m, inputs, spec: fn.jpeg_compression_distortion(
        pixels, quality=fn.cast(m, dtype=types.INT32)
    ),
}
"""What each slot op becomes; an op that is not here can't be rendered by DALI."""
