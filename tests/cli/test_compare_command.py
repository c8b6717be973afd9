"""``carscale compare``: a table, JSON or CSV on stdout, a page where asked, errors in a line."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from folders import outcomes, write_run

from carscale.cli.main import run

BASE, ARM, LABELS = outcomes(700, 3, gain=0.12)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("compared")
    return [
        write_run(place / f"{name}-s{seed}", rows[seed], LABELS, seed=seed, words=words)
        for name, rows, words in (("plain", BASE, ()), ("[b]focal", ARM, ("balance.loss=focal",)))
        for seed in range(3)
    ]


def call(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["carscale", "compare", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "150")
    with pytest.raises(SystemExit) as ended:
        run()
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


def test_the_table_says_it(folders, monkeypatch, capsys):
    code, out, err = call(monkeypatch, capsys, *folders)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == (
        "top-1 on 700 val photos of 6 classes; differences in points, 95 % intervals"
    )
    row = next(line for line in lines if line.strip().startswith("[b]focal "))
    assert row.split()[1] == "3"
    assert row.rstrip().endswith("helps")
    assert " < 0.001 " in row
    assert "[b]focal: balance.loss: ce -> focal" in lines
    assert "compare" in err
    assert "compare" not in out


def test_json_and_csv_hold_the_same(folders, monkeypatch, capsys):
    study = json.loads(call(monkeypatch, capsys, *folders, "--json")[1])
    (row,) = [
        one
        for one in csv.DictReader(io.StringIO(call(monkeypatch, capsys, *folders, "--csv")[1]))
        if one["word"] != "baseline"
    ]
    verdict = study["arms"][1]["verdict"]
    assert (row["arm"], row["word"]) == ("[b]focal", verdict["word"])
    assert float(row["difference"]) == verdict["difference"]["value"]
    assert float(row["low"]) == verdict["difference"]["interval"]["low"]
    assert float(row["p_adjusted"]) == verdict["p_adjusted"]


def test_options_reach_the_rule(folders, monkeypatch, capsys):
    words = ("--metric", "balanced_accuracy", "--margin", "60", "--json")
    study = json.loads(call(monkeypatch, capsys, *folders, *words)[1])
    assert study["about"]["metric"] == "balanced_accuracy"
    assert study["about"]["margin"] == 0.6


def test_out_writes_a_page_and_replaces_none(folders, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page"
    code, out, err = call(monkeypatch, capsys, *folders, "--out", page)
    assert code == 0
    assert "helps" in out
    assert f"wrote {page / 'index.html'}" in err
    stored = json.loads((page / "results.json").read_text())
    assert stored["arms"][1]["verdict"]["word"] == "helps"
    assert stored["command"].startswith("carscale compare ")
    assert (page / "results.csv").read_text().startswith("arm,word,verdict,")
    code, _, err = call(monkeypatch, capsys, *folders, "--out", page)
    assert (code, "holds a page already" in err, "--force" in err) == (2, True, True)
    assert call(monkeypatch, capsys, *folders, "--out", page, "--force")[0] == 0
    code, _, err = call(monkeypatch, capsys, *folders, "--out", folders[0])
    assert (code, "is a run folder" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--metric", "ece"),
            "ConfigError: --metric ece: must be top1, balanced_accuracy, macro_f1 or log_loss",
        ),
        (("--split", "dev"), "ConfigError: --split dev: must be val, test or train"),
        (("--margin", "0"), "ConfigError: --margin 0: must lie between 0 and 100 points"),
        (("--json", "--csv"), "--json and --csv exclude each other"),
        (("--split", "test"), "has no predictions of test"),
    ],
)
def test_wrong_words_end_with_2(folders, monkeypatch, capsys, words, said):
    code, out, err = call(monkeypatch, capsys, *folders, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_comparing_loads_no_torch(folders):
    code = (
        "import sys; sys.argv = ['carscale', 'compare', *sys.argv[1:]]\n"
        "from carscale.cli.main import run\n"
        "try: run()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'timm', 'accelerate', 'matplotlib'} & set(sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *map(str, folders)], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
