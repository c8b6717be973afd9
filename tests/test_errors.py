"""What errors look like."""

import pickle

import pytest

from carscale import config
from carscale.errors import CarscaleError, ConfigError, DataError, QuestionError


def test_a_name_with_a_line_break_begins_no_line_of_an_error():
    error = DataError("cars\n  carscale data pack x: no such folder", "list them with: ls")
    assert str(error).split("\n  ") == [
        r"cars\n  carscale data pack x: no such folder",
        "list them with: ls",
    ]


@pytest.mark.parametrize(
    "error",
    [
        CarscaleError("a.yaml: no such file"),
        DataError("a\nb: is empty", "put photos there", "or elsewhere"),
        QuestionError("cars: is split already", answers={"keep": "--keep-splits"}),
    ],
)
def test_an_error_that_crosses_processes_says_the_same(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.lines == error.lines
    assert str(copy) == str(error)


def test_each_wrong_setting_has_a_line():
    words = ["optim.lr=fast", "optim.lr_rate=1", "train.num_epochs=-1"]
    with pytest.raises(ConfigError) as caught:
        config.resolve(config.Recipe(), words)
    lines = caught.value.lines
    assert lines[0].startswith("command line: unknown key 'optim.lr_rate'")
    assert lines[1].startswith("other keys of the section: ")
    assert [line.split(":")[1].split("=")[0].strip() for line in lines[2:]] == [
        "optim.lr",
        "train.num_epochs",
    ]
