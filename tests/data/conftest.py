"""Class folders that several modules freeze."""

from pathlib import Path

import pytest
from photos import draw_classes


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("freeze") / "raw", [20, 9, 4])
