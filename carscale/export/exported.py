"""Opening what was exported, whatever its format. B pictures, H, W sides, K classes."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
from PIL import Image  # whoever opens a photo for timm, transformers or a script does so by Pillow

from carscale import contained, files, models
from carscale.errors import ModelError
from carscale.export.facts import FACTS_FILE, Facts
from carscale.export.graphs import INPUT, Served, library

if TYPE_CHECKING:
    from numpy.typing import NDArray

Answer = tuple["NDArray[np.float32]", "NDArray[np.float32]"]
"""Probabilities and logits, ``[B, K]``."""


@dataclass(frozen=True)
class Exported:
    """An exported model, opened.

    Attributes:
        path: The folder, or the ONNX file.
        facts: What it says of itself.
        answer: Gives probabilities and logits for uint8 ``[B, H, W, 3]``.
        net: Of a folder for the hub.
    """

    path: Path
    facts: Facts
    answer: Callable[[NDArray[np.uint8]], Answer]
    net: torch.nn.Module | None = None

    def answer_files(self, photos: list[bytes]) -> Answer:
        """Return what its users get for photo files, which they read by Pillow.

        A folder for the hub is asked through timm's own transform, a graph through the view of
        ``predict_onnx.py``.
        """
        if self.net is None:
            view, about = shipped_script()["view"], self.facts.to_dict()
            with ThreadPoolExecutor() as pool:
                pictures = pool.map(lambda photo: view(io.BytesIO(photo), about), photos)
                return self.answer(np.stack(list(pictures)))
        transform = models.eval_transform(self.net)

        def read(photo: bytes) -> torch.Tensor:
            with Image.open(io.BytesIO(photo)) as opened:
                try:
                    return transform(opened.convert("RGB"))
                except ValueError as error:  # of a photo that is so thin that nothing is left
                    raise ModelError(
                        f"timm can't read a photo of {opened.width} x {opened.height} px: {error}",
                        "leave such photos out of val, or take --format onnx",
                    ) from error

        with ThreadPoolExecutor() as pool, torch.inference_mode():
            logits_BK = self.net(torch.stack(list(pool.map(read, photos)))).float()
        return logits_BK.softmax(dim=-1).numpy(), logits_BK.numpy()


READ = {
    "hub": ("config.json", SAFETENSORS_SINGLE_FILE),
    "onnx": ("model.onnx",),
    "openvino": ("model.xml", "model.bin"),
    "pt2": ("model.pt2",),
}
"""Files of each format that a library opens."""
SCRIPT = Path(__file__).with_name("predict_onnx.txt")


@cache
def shipped_script() -> dict[str, Any]:
    """Return the names of the script that lies beside ``model.onnx``."""
    names: dict[str, Any] = {"__name__": "predict_onnx"}
    exec(compile(SCRIPT.read_text("utf-8"), "predict_onnx.py", "exec"), names)
    return names


def is_exported(path: Path) -> bool:
    """Tell whether a path is a folder that ``carscale export`` made, or an ONNX file."""
    return (path / FACTS_FILE).is_file() or (path.suffix == ".onnx" and path.is_file())


def open_exported(path: Path) -> Exported:
    """Open an exported model, on as many threads as torch has.

    Args:
        path: Folder of ``carscale export``, or an ONNX file of it.

    Raises:
        MissingExtraError: The library of its format is not installed.
        ModelError: It is none, of another version, or damaged.
        UnsafePathError: A file of it is a link, a device or a pipe.
    """
    with _no_pickle():
        opened = _open(path, torch.get_num_threads())
    side, names = opened.facts.view.image_px, opened.facts.classes
    try:
        given = opened.answer(np.zeros((1, side, side, 3), np.uint8))[0].shape
    except Exception as error:  # of a graph with other inputs, from a library of C++
        raise _damaged(path, error) from error
    if given != (1, len(names)):
        raise ModelError(
            f"{path}: gives {given[-1]} probabilities for {len(names)} classes",
            "export the run again: carscale export RUN OUT",
        )
    return opened


@contextmanager
def _no_pickle() -> Iterator[None]:
    """Have torch load plain weights alone, whatever a library asks it for: a pickle runs code."""
    names = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ[names[0]] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _open(path: Path, threads: int) -> Exported:
    """Open an exported model by its format."""
    if path.is_file():
        session = _session(path, threads)
        stored = session.get_modelmeta().custom_metadata_map.get("carscale", "null")
        try:
            facts = Facts.of(json.loads(stored), str(path))
        except ValueError as error:
            raise _damaged(path, error) from error
        return Exported(path, facts, _by_onnx(session))
    facts = Facts.of(files.read_json(path / FACTS_FILE), str(path / FACTS_FILE))
    for name in READ[facts.kind]:
        contained.inside(path, name, "file")
    if facts.kind == "hub":
        net = models.open_hub_folder(path)
        return Exported(path, facts, by_torch(Served(models.Classifier(net, facts.view))), net)
    if facts.kind == "pt2":
        return Exported(path, facts, _by_program(path / "model.pt2"))
    if facts.kind == "openvino":
        return Exported(path, facts, _by_openvino(path / "model.xml", threads))
    return Exported(path, facts, _by_onnx(_session(path / "model.onnx", threads)))


def by_torch(served: torch.nn.Module) -> Callable[[NDArray[np.uint8]], Answer]:
    """Return what asks a module of torch."""

    def answer(images_BHWC: NDArray[np.uint8]) -> Answer:
        with torch.inference_mode():
            probs_BK, logits_BK = served(torch.from_numpy(images_BHWC))
        return probs_BK.numpy(), logits_BK.numpy()

    return answer


def _by_program(path: Path) -> Callable[[NDArray[np.uint8]], Answer]:
    """Return what asks an exported program."""
    try:
        program = torch.export.load(path)
        ask = by_torch(program.module())
        name = program.graph_signature.user_inputs[0]
        images = next(node for node in program.graph.nodes if node.name == name)
        size = images.meta["val"].shape[0]
    except Exception as error:  # of a zip, a pickle, the program
        raise _damaged(path, error) from error
    return lambda images_BHWC: _in_fixed(lambda part: list(ask(part)), images_BHWC, size)


def _session(path: Path, num_threads: int) -> Any:  # noqa: ANN401 - of an optional library
    """Return a session of ONNX Runtime on the CPU."""
    onnxruntime = library("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a C++ library: bare RuntimeErrors and its own
        raise _damaged(path, error) from error


def _by_onnx(session: Any) -> Callable[[NDArray[np.uint8]], Answer]:  # noqa: ANN401 - as above
    """Return what asks a session of ONNX Runtime."""
    size = session.get_inputs()[0].shape[0]

    def answer(images_BHWC: NDArray[np.uint8]) -> Answer:
        return _in_fixed(lambda part: session.run(None, {INPUT: part}), images_BHWC, size)

    return answer


def _by_openvino(path: Path, num_threads: int) -> Callable[[NDArray[np.uint8]], Answer]:
    """Return what asks a model of OpenVINO on the CPU, in float32."""
    openvino = library("openvino")
    try:
        graph = openvino.Core().read_model(path)
        wanted = {"INFERENCE_NUM_THREADS": num_threads, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.compile_model(graph, "CPU", wanted)
    except Exception as error:  # its own, which are no RuntimeErrors
        raise _damaged(path, error) from error
    shape = compiled.input(0).partial_shape[0]
    size = shape.get_length() if shape.is_static else None

    def answer(images_BHWC: NDArray[np.uint8]) -> Answer:
        def ask(part: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
            outputs = compiled([part])
            return [outputs[0], outputs[1]]

        return _in_fixed(ask, images_BHWC, size)

    return answer


def _in_fixed(
    ask: Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]],
    images_BHWC: NDArray[np.uint8],
    size: object,
) -> Answer:
    """Ask a graph of a fixed number of pictures, the last of them filled up."""
    if not isinstance(size, int):
        probs_BK, logits_BK = ask(images_BHWC)
        return np.array(probs_BK), np.array(logits_BK)
    num = len(images_BHWC)
    filled = np.concatenate([images_BHWC, images_BHWC[:1].repeat(-num % size, axis=0)])
    parts = [[np.array(one) for one in ask(filled[at : at + size])] for at in range(0, num, size)]
    probs_NK, logits_NK = (np.concatenate(some)[:num] for some in zip(*parts, strict=True))
    return probs_NK, logits_NK


def _damaged(path: Path, error: Exception) -> ModelError:
    """Return the error of a file that its library can't read."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(
        f"{path}: can't be read: {first[:300]}", "export the run again: carscale export RUN OUT"
    )
