"""Studies that are looked at while they run: who gets the next run, and what a kill changes."""

import dataclasses
import json

import jobs
import numpy as np
import pytest
from folders import outcomes, write_run

from carscale import config
from carscale.config import Budget
from carscale.errors import ConfigError
from carscale.studies import plan
from carscale.studies.earlier import earlier_runs
from carscale.studies.speed import Speed
from carscale.workflows.studies import AT_THE_END, Pace, StudyWork

GAINS = {"base": 0.0, "better": 0.2, "same": 0.0, "noisy": 0.03}
LUCK = {"base": 0.005, "better": 0.005, "same": 0.0, "noisy": 0.06}


def plan_of(root, folder, *, arms=GAINS, seeds=6, more="", words=()):
    folder.parent.mkdir(exist_ok=True)
    file = folder.parent / f"{folder.name}.yaml"
    lines = [f"  {name}: {{optim.weight_decay: 0.0{n}}}" for n, name in enumerate(arms)]
    file.write_text(
        f"recipe: {config.packaged('effnet_baseline')}\nseeds: {seeds}\nmargin: 3.0\n{more}arms:\n"
        + "\n".join(lines)
    )
    words = (f"data.root={root}", *jobs.SMALL, *words)
    return plan.make_plan(config.read_study(file), folder, words=words, file=str(file))


def pretend(job, *, train_s=60.0):
    """Write what a run of an arm would predict: better or worse by its gain and by luck."""
    if job.folder.is_finished:
        return
    base_SN, _, labels_N = outcomes(3000, 1)
    arm_rng = np.random.default_rng([job.seed, len(job.arm)])
    shift = GAINS[job.arm] + LUCK[job.arm] * arm_rng.standard_normal()
    if job.arm != "same":
        ease_N = np.random.default_rng(0).beta(2.8, 1.2, 3000)
        base_SN = arm_rng.random((1, 3000)) < np.clip(ease_N + shift, 0, 1)
    else:
        base = np.random.default_rng([job.seed, 4])
        ease_N = np.random.default_rng(0).beta(2.8, 1.2, 3000)
        luck = LUCK["base"] * base.standard_normal()
        base_SN = base.random((1, 3000)) < np.clip(ease_N + luck, 0, 1)
    write_run(job.folder.path, base_SN[0], labels_N, seed=job.seed, train_s=train_s)
    (job.folder.path / "log.jsonl").write_text(json.dumps({"event": "end", "step": 4}) + "\n")


def work_of(study, **options):
    work = StudyWork(study, "carscale study mine.yaml", **options)
    work.look_while_it_runs({})
    work.rounds.on_look = lambda _: None  # no page at each look: figures take a second each
    return work


def trained(work, *, until=None):
    """Go through the rounds, stop after so many runs, return the names of each round's runs."""
    names, left = [], until
    for batch in work.rounds:
        names.append([job.name for job in batch])
        for job in batch:
            if left == 0:
                return names
            left = None if left is None else left - 1
            pretend(job)
    return names


def test_settled_and_hopeless_arms_get_no_more_runs(tiny, tmp_path):
    work = work_of(plan_of(tiny, tmp_path / "study"))
    names = trained(work)
    assert names[0] == ["base-s0", "better-s0", "same-s0", "noisy-s0"]
    assert names[1] == ["base-s1", "better-s1", "same-s1", "noisy-s1"]
    result = work.result
    words = {arm.name: arm.verdict.word for arm in result.arms[1:]}
    assert words["better"] == "helps"
    counts = {arm.name: len(arm.runs) for arm in result.arms}
    assert counts["better"] <= counts["noisy"]
    assert counts["better"] < 6
    notes = {arm.name: " ".join(arm.notes) for arm in result.arms}
    assert "settled at look" in notes["better"]
    assert all(
        f"better-s{n}" not in " ".join(map(" ".join, names)) for n in range(counts["better"], 6)
    )
    assert list(result.about.looks) == sorted(result.about.looks)
    page, shown = work.write()
    assert "Looked at while it ran" in page.read_text()
    assert json.loads((tmp_path / "study" / "results.json").read_text())["about"]["looks"]
    assert shown.about.looks == result.about.looks


@pytest.mark.parametrize("until", [6, 9])
def test_a_study_that_was_stopped_ends_with_the_same_table(tiny, tmp_path, until):
    whole = work_of(plan_of(tiny, tmp_path / "whole"))
    trained(whole)
    cut = plan_of(tiny, tmp_path / "cut")
    trained(work_of(cut), until=until)
    again = work_of(cut)
    trained(again)
    told = [
        [
            (arm.name, arm.verdict and dataclasses.replace(arm.verdict), len(arm.runs))
            for arm in one.arms
        ]
        for one in (whole.result, again.result)
    ]
    assert told[0] == told[1]
    assert whole.result.about.looks == again.result.about.looks


def test_a_budget_in_minutes_is_kept(tiny, tmp_path):
    """Runs that take twice as long as measured get half as many rounds."""
    study = plan_of(tiny, tmp_path / "study", seeds=50, more="budget: {minutes: 60}\n")
    assert study.study.budget.minutes == 60
    steps = study.arms["base"].num_steps
    speeds = dict.fromkeys(study.arms, Speed(0.0, 90 / steps, 0.0))
    for train_s, most in ((90.0, 40), (180.0, 20)):
        work = StudyWork(dataclasses.replace(study, folder=tmp_path / f"{train_s}"), "")
        work.look_while_it_runs(speeds)
        work.rounds.on_look = lambda _: None
        count = 0
        for batch in work.rounds:
            for job in batch:
                pretend(job, train_s=train_s)
                count += 1
        assert count <= most
        assert work.rounds.spent <= 3600 + 4 * train_s
    assert Pace(study, speeds)({"base": []}) == 1.0


def test_a_look_waits_until_enough_is_new(tiny, tmp_path):
    more = "budget: {minutes: 60}\n"
    study = plan_of(tiny, tmp_path / "study", arms=["base", "noisy"], seeds=9, more=more)
    work = StudyWork(study, "")
    steps = study.arms["base"].num_steps
    work.look_while_it_runs(dict.fromkeys(study.arms, Speed(0.0, 20 / steps, 0.0)))
    work.rounds.on_look = lambda _: None
    for batch in work.rounds:
        for job in batch:
            pretend(job, train_s=20.0)
    looks = work.result.about.looks  # a round is 1.1 % of the budget
    assert len(looks) > 2
    assert min(np.diff([0.0, *looks])) >= 0.02


def test_a_budget_too_small_for_one_seed_names_the_least(tiny, tmp_path):
    study = plan_of(tiny, tmp_path / "study", more="budget: {minutes: 1}\n")
    speeds = dict.fromkeys(study.arms, Speed(5.0, 30 / study.arms["base"].num_steps, 5.0))
    with pytest.raises(ConfigError) as error:
        StudyWork(study, "").look_while_it_runs(speeds)
    assert "budget.minutes=1: too small for one seed of each of 4 arms" in str(error.value)
    assert "take 2.7 minutes" in str(error.value)
    assert "give it 6 minutes" in str(error.value)


@pytest.mark.parametrize("broken", ["noisy", "base"])
def test_an_arm_whose_runs_fail_gets_no_more(tiny, tmp_path, broken):
    work = work_of(plan_of(tiny, tmp_path / "study"))
    names = []
    for batch in work.rounds:
        names += [job.name for job in batch]
        for job in batch:
            if job.arm != broken:
                pretend(job)
    tried = [name for name in names if name.startswith(broken)]
    assert tried == {"noisy": ["noisy-s0", "noisy-s1"], "base": ["base-s0"]}[broken]
    if broken == "noisy":
        noisy = next(arm for arm in work.result.arms if arm.name == "noisy")
        assert noisy.verdict.word == "no finished run"
        assert "no more runs: 2 failed one after another" in noisy.notes
    else:
        assert len(names) == 4


def test_earlier_studies_tell_the_spread_of_seeds(tiny, tmp_path):
    first = plan_of(tiny, tmp_path / "studies" / "first", seeds=3)
    first.folder.mkdir(parents=True)
    first.store()
    for job in first.jobs:
        pretend(job)
    second = plan_of(tiny, tmp_path / "studies" / "second", arms=["base", "other"], seeds=1)
    found = earlier_runs(second)
    assert [len(runs) for runs in found] == [3, 3]  # of arms that the second does not train itself
    assert {path.name[:-3] for runs in found for path in runs} == {"same", "noisy"}
    second_work = StudyWork(second, "", found)
    for job in second.jobs:
        pretend(dataclasses.replace(job, arm={"base": "base", "other": "better"}[job.arm]))
    result = second_work.result
    assert result.about.earlier.freedom == 4
    assert result.about.spread.freedom == 4  # one seed of each arm has none of its own
    assert result.arms[1].verdict.difference.spread.freedom > 0
    assert StudyWork(second, "").result.about.earlier is None
    longer = plan_of(
        tiny, tmp_path / "studies" / "third", arms=["base", "other"], words=("train.num_epochs=9",)
    )
    assert earlier_runs(longer) == []
    stored = json.loads((first.folder / "plan.json").read_text())
    stored["arms"] |= {"../base": stored["arms"]["base"], "*": stored["arms"]["same"]}
    stored["arms"]["same"]["settings"]["data"] = 3
    (first.folder / "plan.json").write_text(json.dumps(stored))
    assert {path.name[:-3] for runs in earlier_runs(second) for path in runs} == {"same", "noisy"}
    (first.folder / "plan.json").write_text("[]")
    assert earlier_runs(second) == []


def test_a_dry_run_says_what_the_study_will_find(tiny, tmp_path):
    from carscale.verdicts.forecast import forecast

    blind = forecast([], num_seeds=3, num_arms=5, num_photos=1000, metric="top1")
    assert "assuming" in blind.why
    assert 0.02 < blind.difference < 0.06
    more = forecast([], num_seeds=12, num_arms=5, num_photos=1000, metric="top1")
    assert more.difference < blind.difference
    first = plan_of(tiny, tmp_path / "first", seeds=3)
    for job in first.jobs:
        pretend(job)
    runs = [[first.job(name, seed).folder.path for seed in range(3)] for name in ("base", "better")]
    known = forecast(runs, num_seeds=3, num_arms=5, num_photos=3000, metric="top1")
    assert "by 6 earlier runs" in known.why
    assert known.difference < blind.difference


def test_a_study_keeps_the_rule_that_it_was_looked_at_by(tiny, tmp_path):
    study = plan_of(tiny, tmp_path / "study", seeds=3)
    trained(work_of(study), until=9)
    more = dataclasses.replace(
        study, study=study.study.model_copy(update={"seeds": tuple(range(9))})
    )
    with pytest.raises(ConfigError, match="judged by another rule: until settled, seeds: 3 -> "):
        work_of(more)
    assert work_of(study).earlier == []
    with pytest.raises(ConfigError, match="until settled, seeds: 3 -> at the end"):
        StudyWork(study, "").keep_rule(AT_THE_END)
    (study.folder / "looks.json").unlink()
    with pytest.raises(ConfigError, match="at the end -> until settled, seeds: 3"):
        work_of(study)
    StudyWork(study, "").keep_rule(AT_THE_END)
    assert not (study.folder / "looks.json").exists()


def test_a_budget_that_was_refused_or_trained_nothing_keeps_no_rule(tiny, tmp_path):
    study = plan_of(tiny, tmp_path / "study", more="budget: {minutes: 1}\n")
    speeds = dict.fromkeys(study.arms, Speed(5.0, 30 / study.arms["base"].num_steps, 5.0))
    with pytest.raises(ConfigError, match="too small"):
        StudyWork(study, "").look_while_it_runs(speeds)
    work_of(dataclasses.replace(study, study=study.study.model_copy(update={"budget": Budget()})))
    more = study.study.model_copy(update={"budget": Budget(minutes=6)})
    StudyWork(dataclasses.replace(study, study=more), "").look_while_it_runs(speeds)
    assert json.loads((study.folder / "looks.json").read_text())["rule"] == "6 minutes"


def test_what_hopeless_arms_were_spared_is_spent_at_the_end(tiny, tmp_path):
    work = work_of(plan_of(tiny, tmp_path / "study"))
    trained(work)
    assert work.result.about.looks[-1] == 1
    assert len(work.result.arms[1].runs) < 6  # before all runs were in


def test_a_neighbours_broken_predictions_are_left_out(tiny, tmp_path):
    first = plan_of(tiny, tmp_path / "first", seeds=2)
    study = plan_of(tiny, tmp_path / "study", seeds=2)
    for job in [*first.jobs, *study.jobs]:
        pretend(job)
    (first.job("same", 0).folder.path / "predictions" / "val.parquet").write_bytes(b"none")
    arms = [[first.job(name, seed).folder.path for seed in (0, 1)] for name in ("same", "noisy")]
    assert StudyWork(study, "", arms).result.about.earlier.freedom == 1
