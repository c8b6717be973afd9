"""Policies by name, and those that mix photos: random numbers and photo sizes in, parameters out.

Axes: B samples, R random numbers of each, E pasted photos.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.augment.draws import uniforms
from carscale.augment.mixing import exchanged_pairs, mixed_pairs, own_rectangles, shrunk_pairs
from carscale.augment.ops import LISTED_OPS
from carscale.augment.params import Params
from carscale.augment.photo_policies import (
    MIX,
    MIXING,
    degrade,
    erase,
    filled_rectangles,
    geometric,
    none,
    photometric,
    rand,
    simple,
    standard,
    trivial,
)
from carscale.types import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Augment


@dataclass(frozen=True)
class Policy:
    """A named policy with its settings and view: call it with a seed, positions and sizes."""

    cfg: Augment
    view: View

    def at(self, image_px: int) -> Policy:
        """Return the same policy for another side of the square."""
        return replace(self, view=replace(self.view, image_px=image_px))

    @property
    def has_paste_stream(self) -> bool:
        """Whether pictures get partners of a stream of their own."""
        return self.cfg.policy == "cmo"

    def __call__(self, seed: int, first: int, last: int, sizes_B2: NDArray[np.int64]) -> Params:
        """Return the parameters of stream positions ``first`` to ``last - 1``."""
        draws_BR = uniforms(seed, "augment", first, last)
        return POLICIES[self.cfg.policy](draws_BR, sizes_B2, self.cfg, self.view)

    def own_shares(self, seed: int, first: int, last: int) -> NDArray[np.float32]:
        """Return how much pictures that get pasted partners show of their own photo."""
        draws_BR = uniforms(seed, "augment", first, last)
        return np.asarray(own_rectangles(draws_BR[:, MIXING], self.cfg, self.view)["own_share_B"])

    def pasted_params(
        self, seed: int, positions_E: NDArray[np.int64], sizes_E2: NDArray[np.int64]
    ) -> Params:
        """Return the parameters of the photos that are pasted at stream positions.

        Args:
            seed: The run's.
            positions_E: Where, ascending.
            sizes_E2: Of those photos.
        """
        first = int(positions_E[0])
        draws_BR = uniforms(seed, "pasted", first, int(positions_E[-1]) + 1)
        draws_ER = draws_BR[positions_E - first]
        draws_ER[:, MIX] = 1.0  # nothing is pasted on them
        return POLICIES[self.cfg.policy](draws_ER, sizes_E2, self.cfg, self.view)


def policy(cfg: Augment, view: View) -> Policy:
    """Return the policy that the settings name."""
    return Policy(cfg, view)


def slot_ops(cfg: Augment) -> tuple[str, ...]:
    """Return the slot ops that a policy may use, so that a backend can say what it lacks."""
    listed = "rand" if cfg.policy == "strong" else cfg.policy
    if listed in LISTED_OPS:
        return tuple(op.name for op in LISTED_OPS[listed][1:] if not op.is_geometric)
    return {"degrade": ("blur", "noise", "jpeg"), "photometric": ("blur",)}.get(cfg.policy, ())


def mixup(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then blend the photos of a pair, and their labels.

    Reference:
        Zhang et al. 2018, https://arxiv.org/abs/1710.09412, eq. 1. Differs: partners are
        neighbours in the stream, both with the same share, so that no sample's weight changes.
    """
    mixing = _pairs(draws_BR, cfg, view, cut_prob=0.0)
    return replace(simple(draws_BR, sizes_B2, cfg, view), **mixing)


def cutmix(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then swap a rectangle between the photos of a pair.

    A label counts as much as its photo's area.

    Reference:
        Yun et al. 2019, https://arxiv.org/abs/1905.04899, eq. 1 and 2. Differs as ``mixup`` does.
    """
    mixing = _pairs(draws_BR, cfg, view, cut_prob=1.0)
    return replace(simple(draws_BR, sizes_B2, cfg, view), **mixing)


def resizemix(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then lay the whole partner, shrunk, somewhere on the photo.

    Its side is 0.1 to 0.8 of the square's. A label counts as much as its photo's area.

    Reference:
        Qin et al. 2020, https://arxiv.org/abs/2012.11101, section 3.2. Differs as ``mixup`` does.
    """
    return replace(
        simple(draws_BR, sizes_B2, cfg, view), **shrunk_pairs(draws_BR[:, MIXING], cfg, view)
    )


def snapmix(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then exchange rectangles of a pair, each stretched to fit.

    A label counts as much as the model sees of its class: what the class activation map of its own
    photo keeps outside of the rectangle, or has within the partner's.

    Reference:
        Huang et al. 2021, https://arxiv.org/abs/2012.04846, eq. 2 to 5. Differs: partners are
        neighbours in the stream, and the rectangle that one gives is the one that it takes.
    """
    return replace(
        simple(draws_BR, sizes_B2, cfg, view), **exchanged_pairs(draws_BR[:, MIXING], cfg, view)
    )


def cmo(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then paste a rectangle of a photo of a rare class.

    Photos to paste are drawn by a stream of their own, a photo of a class of n by ``1 / n^power``;
    a rare class is shown on the backgrounds of frequent ones. A label counts as much as its area.

    Reference:
        Park et al. 2022, https://arxiv.org/abs/2112.00412, eq. 1 and algorithm 1. As in its
        authors' code the weights are photos', so a class of n comes by ``n^(1 - power)``.
    """
    return replace(
        simple(draws_BR, sizes_B2, cfg, view), **own_rectangles(draws_BR[:, MIXING], cfg, view)
    )


def _pairs(
    draws_BR: NDArray[np.float64], cfg: Augment, view: View, cut_prob: float
) -> dict[str, Any]:
    """Return how pairs are mixed."""
    return mixed_pairs(draws_BR[:, MIXING], cfg, view, cut_prob=cut_prob)


def strong(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Do as ``rand``, then ``erase``, then for one half of the pairs ``mixup``, else ``cutmix``.

    Reference:
        Wightman et al. 2021, https://arxiv.org/abs/2110.00476, section 3.2 (its parts; it erases
        nothing).
    """
    return replace(
        rand(draws_BR, sizes_B2, cfg, view),
        erase_B4=filled_rectangles(draws_BR, cfg, view),
        **_pairs(draws_BR, cfg, view, cut_prob=0.5),
    )


POLICIES: dict[str, Callable[..., Params]] = {
    "none": none,
    "simple": simple,
    "standard": standard,
    "geometric": geometric,
    "photometric": photometric,
    "trivial": trivial,
    "rand": rand,
    "erase": erase,
    "degrade": degrade,
    "mixup": mixup,
    "cutmix": cutmix,
    "resizemix": resizemix,
    "snapmix": snapmix,
    "cmo": cmo,
    "strong": strong,
}
