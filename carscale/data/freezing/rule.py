"""How a source is read and its photos are split: the rule of a freeze."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from carscale.data.sources.reading import check_reading
from carscale.data.sources.rows import Reading
from carscale.errors import ConfigError

NearRule = Literal["group", "drop", "ignore"]
FRACTIONS = (0.7, 0.15, 0.15)
READ = (
    *("split_folders", "class_depth", "class_from", "alike", "crop", "box_margin", "attributes"),
)
"""Parts of a rule that a card names only where they were given."""


@dataclass(frozen=True)
class FreezeRule:
    """How photos are split.

    Attributes:
        fractions: Of train, val and test; sum to 1.
        seed: Of the draw.
        group_by: A regular expression searched in a photo's relative path; photos with the same
            match (its first group if it has one) stay in one split.
        long_tail: Most and least train photos of a class; train is cut to that.
        keep_splits: Take train, val and test from the source: folders, a column ``split``, the
            splits of a set, words in names of shards. Val and test stay as given; what is in train
            too, or in a group with them, leaves train.
        val_fraction: Of a kept train, drawn as val where the source has none.
        split_folders: Where splits aren't kept, what folders called train and test are:
            ``together`` leaves them out of classes, ``classes`` takes them for classes, ``ask``
            stops.
        class_depth: Of class folders: how many folders from the top are the class.
        class_from: Of class folders: the parts of paths that are the class, as a template
            (``{make}/{model}/*``) or a regular expression with named groups.
        alike: What classes are whose names differ in case, accents or separators alone: ``join``
            makes them one, ``apart`` leaves them, ``ask`` stops.
        crop: Of annotations with boxes: ``boxes`` makes each a photo, ``none`` takes whole photos,
            ``ask`` stops where a photo has boxes of several classes. Boxes of one photo stay in
            one split.
        box_margin: What is kept around a box, as a share of its sides.
        attributes: Names and regular expressions; what they find in a photo's relative path goes
            into the manifest, and slices use it.
        link: ``copy``, or ``hard`` to share bytes with the source's files where they are kept.
        near_duplicates: ``group`` keeps photos that are nearly the same in one split, ``drop``
            keeps the largest of each, where they are of one class, ``ignore`` does not look.
    """

    fractions: tuple[float, float, float] = FRACTIONS
    seed: int = 0
    group_by: str | None = None
    long_tail: tuple[int, int] | None = None
    keep_splits: bool = False
    val_fraction: float | None = None
    split_folders: str = "ask"
    class_depth: int | None = None
    class_from: str | None = None
    alike: str = "ask"
    crop: str = "ask"
    box_margin: float = 0.0
    attributes: tuple[tuple[str, str], ...] = ()
    link: str = "copy"
    near_duplicates: NearRule = "group"

    def check(self) -> None:
        """Raise ``ConfigError`` when the rule makes no sense."""
        is_whole = abs(sum(self.fractions) - 1) <= 1e-6  # false for NaN
        if not is_whole or min(self.fractions) < 0 or self.fractions[0] <= 0:
            raise ConfigError(
                f"--fractions {self.fractions}: must be three shares that sum to 1, train above 0",
                "for example: --fractions 0.7,0.15,0.15",
            )
        if self.long_tail and not 1 <= self.long_tail[1] <= self.long_tail[0]:
            most, least = self.long_tail
            raise ConfigError(f"--long-tail {most}:{least}: must be MOST:LEAST, MOST >= LEAST >= 1")
        self._check_kept()
        if self.link not in ("copy", "hard"):
            raise ConfigError(f"--link {self.link}: must be copy or hard")
        if self.near_duplicates not in get_args(NearRule):
            raise ConfigError(
                f"--near-duplicates {self.near_duplicates}: must be one of "
                f"{', '.join(get_args(NearRule))}"
            )
        check_reading(self.reading())
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise ConfigError(
                f"--group-by {self.group_by!r}: is no regular expression: {error}"
            ) from error

    def reading(self) -> Reading:
        """Return the part that says how the source is read."""
        return Reading(**{name: getattr(self, name) for name in ("keep_splits", *READ)})

    def _check_kept(self) -> None:
        """Raise where splits are kept and drawn at once."""
        if self.long_tail and self.keep_splits:
            raise ConfigError("--long-tail: can't cut splits that --keep-splits keeps; give one")
        if self.keep_splits and self.fractions != FRACTIONS:
            raise ConfigError(
                f"--fractions {self.fractions}: --keep-splits draws no splits",
                "to draw a val from train: --keep-splits --val-fraction 0.1",
            )
        if self.val_fraction is None:
            return
        if not self.keep_splits:
            raise ConfigError(
                "--val-fraction: is of the train that --keep-splits keeps",
                "without kept splits: --fractions 0.7,0.15,0.15",
            )
        if not 0 < self.val_fraction < 1:  # false for NaN
            raise ConfigError(
                f"--val-fraction {self.val_fraction}: must be above 0 and below 1",
                "for example: --val-fraction 0.1",
            )
