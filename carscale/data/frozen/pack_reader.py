"""Read a pack's photos from its shards. N photos of the pack, by id.

Chosen: ``pread`` at offsets that the manifest holds: 3 us a photo in cache, 12 us for a file of its
own. Rejected: a memory map, as quick, but it waits for a slow disk while holding the GIL, so that
threads read one after another, and ends the process (SIGBUS) where a file was cut short;
``datasets``' rows (21 us).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import contained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Shards:
    """Files that hold photos, each opened when a process first reads from it.

    Args:
        root: The pack.
        names: The shards' paths in it.
        shard_N: Which of them holds a photo.
        offset_N: Where in it.
        num_bytes_N: How many bytes.
    """

    def __init__(
        self,
        root: Path,
        names: tuple[str, ...],
        shard_N: NDArray[np.int32],
        offset_N: NDArray[np.int64],
        num_bytes_N: NDArray[np.int64],
    ) -> None:
        self.root = root
        self.names = names
        self.shard_N = shard_N
        self.offset_N = offset_N
        self.num_bytes_N = num_bytes_N
        self._opened: dict[int, int] = {}

    def read_bytes(self, photo_id: int) -> bytes:
        """Return a photo's bytes; threads and forked processes do not disturb each other.

        Raises:
            OSError: The shard is gone, can't be read or ends too early.
        """
        shard, size = int(self.shard_N[photo_id]), int(self.num_bytes_N[photo_id])
        descriptor = self._opened.get(shard)
        if descriptor is None:
            descriptor = self._open(shard)
        try:
            content = os.pread(descriptor, size, int(self.offset_N[photo_id]))
        except OSError:  # stale on a network disk: the next try opens it anew
            self._opened.pop(shard, None)
            raise
        if len(content) != size:
            raise OSError(
                f"{self.root / self.names[shard]}: ends {size - len(content)} bytes too early"
            )
        return content

    def _open(self, shard: int) -> int:
        """Open a shard; of two threads that do, one keeps its descriptor."""
        descriptor = contained.open_inside(self.root, self.names[shard])
        kept = self._opened.setdefault(shard, descriptor)
        if kept != descriptor:
            os.close(descriptor)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        for descriptor in self._opened.values():  # os may be gone when the interpreter ends
            close(descriptor)
