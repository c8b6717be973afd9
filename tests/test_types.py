"""The nouns: a split reads its photos, whatever holds them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from carscale import data


class Held:
    """Photos by id, in memory."""

    def read_bytes(self, photo_id: int) -> bytes:
        return b"photo %d" % photo_id


def test_a_split_reads_and_names_its_files(tiny):
    split = data.read_splits(tiny).val
    files = [tiny / path for path in split.paths_N]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(split.read_bytes, np.arange(len(split))))
    assert read == [file.read_bytes() for file in files]
    assert [split.where(row) for row in range(len(split))] == [str(file) for file in files]


def test_a_missing_file_is_named_by_the_error(tiny, tmp_path):
    split = replace(data.read_splits(tiny).val, root=tmp_path)
    with pytest.raises(FileNotFoundError, match=str(split.paths_N[2])):
        split.read_bytes(2)


def test_a_split_asks_its_store_by_id(tiny):
    split = replace(data.read_splits(tiny).val, store=Held())
    photo_id = int(split.ids_N[3])
    assert photo_id != 3
    assert split.read_bytes(3) == b"photo %d" % photo_id
    assert split.where(3) == f"{tiny}#{photo_id} ({split.paths_N[3]})"
