"""The chart of speeds: every arm is on it, and the same numbers give the same bytes."""

import pytest
from PIL import Image

from carscale.report.page.bars import draw_speeds, write_speeds
from carscale.report.page.theme import LIGHT

ROWS = [
    {"view": view, "arm": arm, "median": speed, "low": speed * 0.9, "high": speed * 1.2}
    for view in ("train", "plain")
    for arm, speed in (("torch", 1500.0), ("timm", 900.0), ("floor", 3000.0), ("model", 16.0))
]


def test_every_arm_has_its_bar_and_its_number():
    figure = draw_speeds(LIGHT, ROWS, ours={"torch"})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["train view", "plain view"]
    for axes in figure.axes:
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == ["model alone", "timm", "carscale torch", "decoder alone"]  # fastest on top
        assert [bar.get_width() for bar in axes.patches] == [16, 900, 1500, 3000]
        assert {"16", "900", "1,500", "3,000"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1]])
def test_files_are_a_picture_and_the_same_each_time(tmp_path, rows):
    first = [path.read_bytes() for path in write_speeds(rows, tmp_path / "a", ours={"torch"})]
    again = [path.read_bytes() for path in write_speeds(rows, tmp_path / "b", ours={"torch"})]
    assert first == again
    with Image.open(tmp_path / "a" / "loaders.png") as image:
        assert image.width > 1000
    assert b"carscale torch" in first[1] or b"<svg" in first[1]
