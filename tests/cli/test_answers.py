"""Each answer that a question prints is a command that works."""

import shlex
import shutil

import boxed_sets as sets
import pytest
from command_line import carscale
from photos import draw_photo


def split_folders(root):
    for split in ("train", "test"):
        for label, name in enumerate(("Audi A4", "BMW M3")):
            for n in range(4):
                draw_photo(root / split / name / f"{split}{n}.jpg", label, n + 9 * len(split))
    return root


def split_column(root):
    split_folders(root)
    paths = sorted(path.relative_to(root) for path in root.rglob("*.jpg"))
    for number, path in enumerate(paths):
        shutil.move(root / path, root / f"{number}.jpg")
    lines = [f"{n}.jpg,{path.parts[1]},{path.parts[0]}" for n, path in enumerate(paths)]
    (root / "cars.csv").write_text("\n".join(["path,label,split", *lines]))
    return root / "cars.csv"


def alike_names(root):
    for label, name in enumerate(("Audi A4", "audi-a4", "BMW M3")):
        for n in range(4):
            draw_photo(root / name / f"{label}{n}.jpg", label, n)
    return root


def several_boxes(root):
    rows = [
        (f"{n:03d}.png", label, (60 * label, 0, 60 * label + 50, 50), "")
        for n in range(6)
        for label in (0, 1)
    ]
    return sets.write_coco(root, [*rows, *sets.boxes(16)[6:]])


def split_boxes(root):
    return sets.write_voc(root, sets.boxes(16, split_at=12))


ASKING = {
    "split folders": (split_folders, 3),
    "split column": (split_column, 2),
    "alike names": (alike_names, 2),
    "several boxes": (several_boxes, 2),
    "split boxes": (split_boxes, 2),
}


@pytest.mark.parametrize("kind", ASKING)
def test_each_printed_answer_works(tmp_path, kind):
    draw, num_answers = ASKING[kind]
    source = draw(tmp_path / "cars' set")
    asked = carscale("data", "freeze", source, tmp_path / "out", code=2)
    assert not (tmp_path / "out").exists()
    commands = [line.partition(": carscale ")[2] for line in asked.stderr.splitlines()]
    answers = [shlex.split(command) for command in commands if command]
    assert len(answers) == num_answers, asked.stderr
    for words in answers:
        carscale(*words, code=0)
        shutil.rmtree(tmp_path / "out")
