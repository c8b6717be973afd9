"""Eight bits for weights and activations of an ONNX graph. B pictures, H, W their sides."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale.export.graphs import INPUT, library, library_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUANTISED = ["Conv", "Gemm", "MatMul"]
"""What computes; the rest stays in float32, where eight bits save nothing and cost accuracy."""


def quantise(path: Path, out: Path, pictures: Iterable[NDArray[np.uint8]]) -> None:
    """Write a graph whose convolutions and matrix products take eight-bit numbers.

    Static (the ranges of activations are those that the pictures show), symmetric int8 weights per
    channel, in QDQ form, which ONNX Runtime and OpenVINO both run.

    Args:
        path: ONNX file in float32.
        out: File to write.
        pictures: uint8 ``[B, H, W, 3]``, of train.

    Raises:
        MissingExtraError: ``onnx`` or ``onnxruntime`` is not installed.
        ModelError: ONNX Runtime refuses the graph.

    Reference:
        Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3; weights per channel as
        Krishnamoorthi 2018, https://arxiv.org/abs/1806.08342, section 3.1 has it: a layer's scale
        for all channels loses depthwise convolutions.
    """
    library("onnx")
    library("onnxruntime")
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(q.CalibrationDataReader):  # type: ignore[misc]
        """Hands over batches, one a call."""

        def __init__(self) -> None:
            self.rest = iter(pictures)

        def get_next(self) -> dict[str, Any] | None:
            """Return the next batch, or ``None``."""
            images_BHWC = next(self.rest, None)
            return None if images_BHWC is None else {INPUT: images_BHWC}

    refused = library_errors("ONNX Runtime", path, "leave out --int8")
    with tempfile.TemporaryDirectory() as scratch, _quiet(), refused:
        folded = Path(scratch) / "folded.onnx"  # batch norms inside convolutions
        quant_pre_process(path, folded, skip_symbolic_shape=True)
        q.quantize_static(
            folded,
            out,
            Pictures(),
            quant_format=q.QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            calibrate_method=q.CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True, "WeightSymmetric": True},
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's notes on its own steps from people."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
