"""The pipeline as a library raises; as a script it says its error and ends with a code."""

import signal

import jobs
import pytest

from carscale import config, pipeline
from carscale.errors import ConfigError, DataError, RunError, Stopped
from carscale.world import start_run


def test_a_library_call_raises_and_ends_no_process(tiny, tmp_path, capsys):
    cfg = config.Recipe(data=config.Data(root=str(tmp_path / "nope")))
    with pytest.raises(DataError, match="no such folder"):
        pipeline.run("test", cfg)
    with pytest.raises(DataError, match="no such folder"), start_run("test", cfg):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    cfg = jobs.recipe(tiny, tmp_path / "full", "resume=overwrite")
    with pytest.raises(RunError, match="nothing was removed"):
        pipeline.run("test", cfg)
    with (
        pytest.raises(ConfigError, match="own words"),
        start_run("test", jobs.recipe(tiny, tmp_path / "a")),
    ):
        raise ConfigError("own words")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RunError("it is taken", "wait"), 2, "[rank 1] RunError: it is taken\n  wait\n"),
        (Stopped(signal.SIGINT, "saved"), 130, ""),  # rank 0 says it for all
        (Stopped(signal.SIGUSR1, "saved"), 143, ""),
    ],
)
def test_a_script_says_its_error_and_ends_with_a_code(monkeypatch, capsys, error, code, said):
    def breaks(name, cfg):
        assert (name, cfg.seed) == ("mine", 5)
        raise error

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as ended:
        pipeline.main("mine", config.Recipe(), ["seed=5"], run=breaks)
    assert ended.value.code == code
    assert capsys.readouterr().err == said
