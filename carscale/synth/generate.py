"""Image to image by a diffusion model of the user's: the door to diffusers."""

from __future__ import annotations

import hashlib
import math
import string
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import outgoing
from carscale.car_names import car_class
from carscale.errors import ConfigError, MissingExtraError, ModelError, OutOfMemoryError
from carscale.images import composite

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIELDS = ("name", "make", "model", "body", "year")
MULTIPLE, MIN_PX = 8, 64
"""Both sides are multiples of this; the longer one is not less."""


def check_template(template: str) -> None:
    """Raise where a prompt template names what a class does not have.

    Raises:
        ConfigError: Names the field, and those that there are.
    """
    try:
        fields = [part[1] for part in string.Formatter().parse(template) if part[1] is not None]
        if set(fields) <= set(FIELDS):
            template.format(**dict.fromkeys(FIELDS, "word"))
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"--prompt {template!r}: {error}", "write fields alone: 'a photo of a {year} {make}'"
        ) from error
    if wrong := [name for name in fields if name not in FIELDS]:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ConfigError(f"--prompt {template!r}: no field {{{wrong[0]}}}", f"there are: {known}")


def prompt_of(template: str, class_name: str) -> str:
    """Return the prompt for a class; a field that its name does not tell is left out.

    Example:
        >>> prompt_of("a photo of a {year} {make} {model} {body}", "Audi A4 Sedan 2012")
        'a photo of a 2012 Audi A4 Sedan'
    """
    car = car_class(class_name, class_name)
    values = {name: getattr(car, name, None) for name in FIELDS} | {"name": class_name}
    words = {name: str(value) if value else "" for name, value in values.items()}
    return " ".join(template.format(**words).split())


@dataclass
class Generator:
    """A pipeline, and how it is asked.

    Attributes:
        model: Folder, or id on the hub.
        template: Of the prompt: ``FIELDS`` in braces.
        strength: How far from the parent, above 0 up to 1.
        steps: Of denoising.
        longer_px: Longer side of what it is given.
        lora: Folder, file or id of weights to add, or empty.
    """

    model: str
    template: str = "a photo of a {name}"
    strength: float = 0.5
    steps: int = 30
    longer_px: int = 512
    lora: str = ""
    _lock: Lock = field(default_factory=Lock, repr=False)
    _pipeline: Any = None
    _about: dict[str, Any] = field(default_factory=dict)

    def open(self) -> Generator:
        """Load the pipeline, on a GPU where there is one; return the generator.

        Raises:
            ConfigError: A strength or template that makes no sense.
            MissingExtraError: diffusers is not installed.
            ModelError: The model is no pipeline.
        """
        check_template(self.template)
        if not (0 < self.strength <= 1 and int(self.strength * self.steps) >= 1):
            least = math.ceil(1000 / self.steps) / 1000
            raise ConfigError(
                f"--strength {self.strength:g}: must be from {least:g} to 1",
                f"less is not one of {self.steps} steps: --strength 0.5 changes half",
            )
        try:
            import diffusers
        except ImportError as error:
            raise MissingExtraError(
                "--method generate: diffusers is not installed",
                "install it: pip install 'carscale[generate]'",
            ) from error
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = torch.float16 if device == "cuda" else torch.float32
        try:
            pipeline = diffusers.AutoPipelineForImage2Image.from_pretrained(self.model)
            if self.lora:
                pipeline.load_lora_weights(self.lora)
            self._pipeline = pipeline.to(device, kind)
        except torch.cuda.OutOfMemoryError as error:
            raise self._out_of_memory() from error
        except Exception as error:  # torch, safetensors, pickle, transformers: each has its own
            raise ModelError(
                f"--model {self.model}: no image-to-image pipeline of diffusers: "
                f"{' '.join(str(error).split())[:300]}",
                "give a folder that holds model_index.json, or an id on the hub",
            ) from error
        self._pipeline.set_progress_bar_config(disable=True)
        self._about = {
            "strength": self.strength,
            "steps": self.steps,
            "longer_px": self.longer_px,
            "dtype": str(kind).removeprefix("torch."),
            "weights": weights_hash(self.model),
            **({"lora": weights_hash(self.lora)} if self.lora else {}),
        }
        return self

    def about(self, class_name: str) -> dict[str, Any]:
        """Return what a photo's provenance says of it."""
        return {"prompt": prompt_of(self.template, class_name), **self._about}

    def change(
        self, pixels_HWC: NDArray[np.uint8], class_name: str, seed: int
    ) -> NDArray[np.uint8]:
        """Return what the pipeline makes of a photo, RGB; one at a time.

        Raises:
            OutOfMemoryError: The GPU is too small.
        """
        import torch

        small_HWC = composite.fitted(pixels_HWC, self.longer_px)
        height, width = (max(MULTIPLE, side // MULTIPLE * MULTIPLE) for side in small_HWC.shape[:2])
        small_HWC = small_HWC[:height, :width]
        with self._lock:
            try:
                made = self._pipeline(
                    prompt=prompt_of(self.template, class_name),
                    image=torch.from_numpy(small_HWC.copy()).permute(2, 0, 1)[None] / 255,
                    strength=self.strength,
                    num_inference_steps=self.steps,
                    generator=torch.Generator("cpu").manual_seed(seed),
                    output_type="np",
                )
            except torch.cuda.OutOfMemoryError as error:
                raise self._out_of_memory() from error
        return np.rint(255 * np.asarray(made.images[0])).clip(0, 255).astype(np.uint8)

    def _out_of_memory(self) -> OutOfMemoryError:
        """Return the error of a GPU that is too small."""
        smaller = self.longer_px // 2
        return OutOfMemoryError(
            f"--model {self.model}: the GPU has too little memory for {self.longer_px} px",
            *([f"make smaller photos: --longer-px {smaller}"] if smaller >= MIN_PX else []),
            f"do without the GPU: CUDA_VISIBLE_DEVICES= {outgoing.command('carscale', 'data')} ...",
        )


def weights_hash(model: str) -> str:
    """Return the sha256 of what a model's files hold; of an id on the hub, id and commit."""
    place = Path(model)
    if not place.exists():
        return f"id:{model}@{_commit(model)}"
    digest = hashlib.sha256()
    paths = sorted(place.rglob("*")) if place.is_dir() else [place]
    for path in (path for path in paths if path.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size} ".encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def _commit(model: str) -> str:
    """Return the commit of weights that were loaded from the hub; empty where none is kept."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=model, repo_type="model")
    branch = Path(HF_HUB_CACHE, folder, "refs", "main")
    return branch.read_text("utf-8").strip() if branch.is_file() else ""
