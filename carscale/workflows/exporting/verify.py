"""Every photo of a split through what was exported, and through the run. N photos, K classes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import evaluation, export, loaders
from carscale.errors import VerificationError
from carscale.export.parity import MAX_DROP, SAME_FROM_FILES, SAME_ON_EQUAL_INPUT
from carscale.progress import bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from carscale import config
    from carscale.types import Split
    from carscale.world import World

    Ask = Callable[[NDArray[np.uint8]], export.Answer]


@dataclass(frozen=True)
class Verified:
    """What both say of a split.

    Attributes:
        split: Its name.
        equal_input: Agreement on the same pixels.
        from_files: Agreement where each reads the files in its own way.
        images_per_s, images_per_s_torch: Of the network alone, on the same pictures in turn.
        min_energy, unknown_rule: From which energy on a photo is of a known class.
        device: Where: runtimes of exports are compared on the CPU.
    """

    split: str
    equal_input: export.Agreement
    from_files: export.Agreement
    images_per_s: float
    images_per_s_torch: float
    min_energy: float
    unknown_rule: str
    device: str

    def to_dict(self) -> dict[str, Any]:
        """Return what ``verify.json`` holds."""
        return {
            **vars(self),
            "equal_input": self.equal_input.to_dict(),
            "from_files": self.from_files.to_dict(),
        }

    @property
    def summary(self) -> str:
        """Return in a line how far what was exported agrees with the run."""
        equal, read = self.equal_input, self.from_files
        return (
            f"verified: of {equal.num_photos} photos of {self.split} {equal.num_same} get the "
            f"run's class from equal pixels, {read.num_same} from their files"
        )

    def check(self, *, int8: bool) -> None:
        """Raise where what an export says is not what the run says.

        Raises:
            VerificationError: Says by how much, and what to try.
        """
        equal, read = self.equal_input, self.from_files
        changes = [f"{0 - 100 * one.drop:+.1f}" for one in (equal, read)]
        counts = (
            f"of {equal.num_photos} photos of {self.split} {equal.num_same} get the same first "
            f"class on equal input, {read.num_same} from files; accuracy changes by "
            f"{' and '.join(changes)} points; probabilities differ by {equal.max_difference:.2g} "
            f"and {read.max_difference:.2g} at most"
        )
        if int8 and max(equal.drop, read.drop) > MAX_DROP:
            raise VerificationError(
                f"eight bits lose too much (a point at most): {counts}",
                "leave out --int8; or train a network whose convolutions are not depthwise, such "
                "as model.name=resnext50_32x4d",
            )
        if int8 or (equal.same >= SAME_ON_EQUAL_INPUT and read.same >= SAME_FROM_FILES):
            return
        steps = ["take another --format; --verify none leaves this out"]
        if equal.same >= SAME_ON_EQUAL_INPUT:
            steps = [
                "the network is the same; its photos are read by another decoder, and it is unsure "
                "of those that differ: train longer, or with a larger data.image_px",
                "or take it as it is: --verify none",
            ]
        raise VerificationError(
            f"the export answers otherwise than the run ({SAME_ON_EQUAL_INPUT:.1%} and "
            f"{SAME_FROM_FILES:.1%} are wanted): {counts}",
            *steps,
        )


def verified(
    ours: Ask,
    theirs: export.Exported,
    split: Split,
    cfg: config.Loader,
    world: World,
) -> Verified:
    """Ask both of every photo of a split, on equal pixels and from its file.

    Args:
        ours: The run's model, for uint8 ``[B, H, W, 3]``.
        theirs: What was exported.
        split: Which photos.
        cfg: How they are loaded.
        world: Of one process.
    """
    loader = loaders.eval_loader(cfg, split, theirs.facts.view, world)
    row_of = {number: row for row, number in enumerate(split.ids_N.tolist())}
    seconds = {"ours": 0.0, "theirs": 0.0}
    on_equal: list[export.Agreement] = []  # what a batch gives: its probabilities are not kept
    from_files: list[export.Agreement] = []
    energies: list[NDArray[np.float64]] = []
    is_wrong: list[NDArray[np.bool_]] = []

    def timed(name: str, asked: Ask, images_BHWC: NDArray[np.uint8]) -> export.Answer:
        start = time.perf_counter()
        found = asked(images_BHWC)
        seconds[name] += time.perf_counter() - start
        return found

    with bar(f"verify {split.name}", len(split), unit="photos") as advance:
        for batch in loader:
            images_BHWC = batch.images_BCHW.permute(0, 2, 3, 1).contiguous().cpu().numpy()
            if not on_equal:  # the first call sets up
                ours(images_BHWC)
                theirs.answer(images_BHWC)
            ours_BK, _ = timed("ours", ours, images_BHWC)
            theirs_BK, logits_BK = timed("theirs", theirs.answer, images_BHWC)
            rows = [row_of[number] for number in batch.ids_B.tolist()]
            files_BK, _ = theirs.answer_files([split.read_bytes(row) for row in rows])
            labels_B = split.labels_N[rows]
            on_equal.append(export.agreement(labels_B, ours_BK, theirs_BK))
            from_files.append(export.agreement(labels_B, ours_BK, files_BK))
            energies.append(evaluation.energy(logits_BK))
            is_wrong.append(logits_BK.argmax(axis=1) != labels_B)
            advance(len(rows))
    limit, rule = evaluation.unknown_threshold(np.concatenate(energies), np.concatenate(is_wrong))
    equal = export.pooled(on_equal)
    return Verified(
        split.name,
        equal,
        export.pooled(from_files),
        equal.num_photos / seconds["theirs"],
        equal.num_photos / seconds["ours"],
        limit,
        rule,
        "cpu",
    )
