"""Plan a study: its runs, their settings and commands, and what may not change half way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import carscale
from carscale import config, data, files
from carscale.config import Arm, Recipe, Study
from carscale.errors import ConfigError, DataError, RunError
from carscale.runs import RunFolder
from carscale.shapes import problem
from carscale.types import Splits
from carscale.verdicts.metrics import check_support

ROOMS_THAT_TRAIN = (
    *("augment", "balance", "config", "data", "evaluation", "images", "loaders", "models"),
    *("runs", "stats", "tables", "training", "world"),
)
PACKAGES_THAT_TRAIN = ("torch", "timm", "accelerate", "numpy")
RESERVED = ("seed", "resume", "run.dir", "run.name", "train.select", "train.patience")


@dataclass(frozen=True)
class Job:
    """One run of a study.

    Attributes:
        arm: Its name.
        seed: Its seed.
        folder: Its run folder.
    """

    arm: str
    seed: int
    folder: RunFolder

    @property
    def name(self) -> str:
        """Return the run's name."""
        return self.folder.name


@dataclass(frozen=True, eq=False)
class ArmPlan:
    """An arm with its resolved settings.

    Attributes:
        arm: As the study file has it.
        cfg: All settings, seed and run aside.
        words: What the recipe is started with, seed and run aside.
        splits: Its frozen photos.
    """

    arm: Arm
    cfg: Recipe
    words: tuple[str, ...]
    splits: Splits

    @property
    def num_steps(self) -> int:
        """Return the optimizer steps of one run."""
        return self.cfg.num_steps(len(self.splits.train))

    @property
    def hashes(self) -> dict[str, str]:
        """Return the hashes of its train and val photos."""
        return {"train": self.splits.train.hash, "val": self.splits.val.hash}

    @cached_property
    def changes(self) -> dict[str, Any]:
        """Return what the arm sets, its recipe too."""
        preset = {} if self.arm.config is None else {"config": str(self.arm.config)}
        return {"recipe": str(self.arm.recipe), **preset, **self.arm.settings}


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """All runs of a study, in the order they are trained.

    Attributes:
        study: What was asked for.
        folder: Where runs, results and the page go.
        arms: By name.
    """

    study: Study
    folder: Path
    arms: dict[str, ArmPlan]

    @property
    def jobs(self) -> list[Job]:
        """Return the runs: every arm's first seed, then every arm's second, and so on."""
        return [self.job(name, seed) for seed in self.study.seeds for name in self.arms]

    def job(self, arm: str, seed: int) -> Job:
        """Return one run."""
        return Job(arm, seed, RunFolder(self.folder / "runs" / f"{arm}-s{seed}"))

    def words(self, job: Job) -> list[str]:
        """Return the command-line settings of a run."""
        own = [f"seed={job.seed}", f"run.dir={job.folder.path.parent}", f"run.name={job.name}"]
        return [*self.arms[job.arm].words, *own]

    @cached_property
    def code(self) -> str:
        """Return the version of the training code, with a hash of sources and packages."""
        root = Path(carscale.__file__).parent
        rooms = [path for room in ROOMS_THAT_TRAIN for path in root.glob(f"{room}/**/*.py")]
        digest = hashlib.sha256()
        for path in sorted([*rooms, *root.glob("*.py")]):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
        for name in PACKAGES_THAT_TRAIN:
            digest.update(f"{name} {version(name)}\0".encode())
        return f"{carscale.__version__}+{digest.hexdigest()[:12]}"

    def stored(self) -> dict[str, Any]:
        """Return what ``plan.json`` holds, for a later start to compare with."""
        return {
            "code": self.code,
            "arms": {
                name: {
                    "recipe": str(plan.arm.recipe.resolve()),
                    "recipe_hash": hashlib.sha256(plan.arm.recipe.read_bytes()).hexdigest(),
                    "settings": plan.cfg.model_dump(exclude={"seed", "resume", "run"}),
                    "hashes": plan.hashes,
                }
                for name, plan in self.arms.items()
            },
        }

    def check_stored(self, *, any_code: bool) -> None:
        """Raise where a study was started with other settings, data or code.

        Arms and seeds may be added; runs that finished are kept in any case.
        """
        path = self.folder / "plan.json"
        if not path.exists():
            return
        old, new = read_stored(path), self.stored()
        begun = {job.arm for job in self.jobs if job.folder.has_settings}
        if begun and old["code"] != new["code"] and not any_code:
            raise RunError(
                f"{self.folder}: its runs were made by other code: {old['code']} -> {new['code']}",
                "start again in another folder: --out FOLDER; or mix them all the same: --any-code",
            )
        for name in [name for name in old["arms"] if name in begun]:
            _check_arm(path, name, old["arms"][name], new["arms"][name])

    def store(self) -> None:
        """Write ``plan.json``; arms that were removed from the study file stay in it."""
        path = self.folder / "plan.json"
        new = self.stored()
        known = read_stored(path)["arms"] if path.exists() else {}
        files.write_json(path, new | {"arms": known | new["arms"]})

    def check_data(self) -> None:
        """Raise when the frozen data changed since the start."""
        cards: dict[str, dict[str, str]] = {}
        for name, plan in self.arms.items():
            root = plan.cfg.data.root
            cards[root] = cards.get(root) or data.read_card(Path(root))["hashes"]
            if any(cards[root][split] != value for split, value in plan.hashes.items()):
                raise DataError(
                    f"{plan.cfg.data.root}: changed while the study ran (arm {name})",
                    f"finished runs are kept in {self.folder / 'runs'}",
                    "put the photos back, or start again: --out FOLDER",
                )


def read_stored(path: Path) -> dict[str, Any]:
    """Return what ``plan.json`` holds."""
    arm = {"recipe": str, "recipe_hash": str, "settings": dict, "hashes": {str: str}}
    tree: dict[str, Any] = files.read_json(path)
    if wrong := problem(tree, {"code": str, "arms": {str: arm}}):
        raise RunError(f"{path}: {wrong}")
    return tree


def make_plan(
    study: Study,
    folder: Path,
    *,
    words: tuple[str, ...] = (),
    file: str = "study",
    runs_files: bool = True,
) -> StudyPlan:
    """Return the plan of a study, checked.

    Args:
        study: From ``read_study``.
        folder: Where all goes.
        words: ``key=value`` for all arms, above the file's settings.
        file: The study file's name, for messages.
        runs_files: Whether a recipe that did not come with carscale may be run to learn its
            settings; else it is read alone.

    Raises:
        ConfigError: A setting that no recipe has, or that the study itself sets.
        DataError: Photos that are not frozen, or arms with other val photos or classes.
    """
    arms: dict[str, ArmPlan] = {}
    splits: dict[str, Splits] = {}
    for arm in study.arms:
        own = _words(study, arm, words, file)
        try:
            may_run = runs_files or config.is_packaged(arm.recipe)
            recipe = (config.read_recipe if may_run else config.stated_recipe)(arm.recipe)
            cfg = config.resolve(recipe, list(own))
        except ConfigError as error:
            raise ConfigError(f"{file}: arm {arm.name}: {error}") from error
        root = cfg.data.root
        splits[root] = splits.get(root) or data.read_splits(Path(root))
        arms[arm.name] = ArmPlan(arm, cfg, own, splits[root])
    _check_same_val(arms, study.baseline)
    val = arms[study.baseline].splits.val
    support = zip((one.name for one in val.classes), val.counts_K.tolist(), strict=True)
    check_support(dict(support), "val", study.metric)
    _check_different(arms, file)
    return StudyPlan(study, folder, arms)


def _words(study: Study, arm: Arm, words: tuple[str, ...], file: str) -> tuple[str, ...]:
    """Return an arm's settings: the file's, then the command line's, then its own."""
    shared = dict(study.settings)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key == "config":
            raise ConfigError(f"command line: {word!r} is no setting; write key=value")
        shared[key] = value
    both = sorted(set(shared) & set(arm.settings))
    if both:
        raise ConfigError(f"command line: {both[0]} is what arm {arm.name} of {file} sets itself")
    asked = shared | arm.settings
    reserved = [key for key in asked if key in RESERVED]
    if reserved:
        raise ConfigError(
            f"{file}: {reserved[0]}: is the study's to set",
            "seeds: N; runs are compared at their last epoch, which is not selected on val",
        )
    if study.budget.epochs:
        asked["train.num_epochs"] = study.budget.epochs
    asked["train.select"], asked["train.patience"], asked["train.keep_last"] = "last", 0, 1
    asked.setdefault("train.eval_every_epochs", 0)  # 1 buys learning curves
    preset = () if arm.config is None else (f"config={arm.config}",)
    return (*preset, *(f"{key}={_text(value)}" for key, value in asked.items()))


def _text(value: object) -> str:
    """Return a setting's value as the command line has it."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_same_val(arms: dict[str, ArmPlan], baseline: str) -> None:
    """Raise where an arm would be scored on other photos or classes."""
    base = arms[baseline].splits
    for name, plan in arms.items():
        if plan.splits.val.hash != base.val.hash or plan.splits.classes != base.classes:
            what = "val photos" if plan.splits.val.hash != base.val.hash else "classes"
            raise DataError(
                f"arm {name}: {plan.cfg.data.root} has other {what} than "
                f"{arms[baseline].cfg.data.root} of arm {baseline}",
                "arms may differ in train alone: freeze with --keep-splits",
            )


def _check_different(arms: dict[str, ArmPlan], file: str) -> None:
    """Raise where two arms are the same."""
    seen: dict[tuple[Path, str], str] = {}
    for name, plan in arms.items():
        key = (plan.arm.recipe.resolve(), plan.cfg.model_dump_json(exclude={"run"}))
        if key in seen:
            raise ConfigError(f"{file}: arms {seen[key]} and {name} have the same settings")
        seen[key] = name


def _check_arm(path: Path, name: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise where an arm that was started has changed."""
    if old["hashes"] != new["hashes"]:
        changed = [split for split in old["hashes"] if old["hashes"][split] != new["hashes"][split]]
        raise DataError(
            f"{path}: arm {name} began on other photos: {', '.join(changed)} changed",
            "finished runs are kept; put the photos back, or start again: --out FOLDER",
        )
    was, now = config.flat(old["settings"]), config.flat(new["settings"])
    changed = [
        f"{k}: {was.get(k)} -> {now.get(k)}" for k in {**was, **now} if was.get(k) != now.get(k)
    ]
    if old.get("recipe_hash") != new["recipe_hash"]:  # where it lies makes no difference
        is_other = old["recipe"] != new["recipe"]
        what = f"{old['recipe']} -> {new['recipe']}" if is_other else f"{new['recipe']} was edited"
        changed.append(f"recipe: {what}")
    if changed:
        raise ConfigError(
            f"{path}: arm {name} began with other settings; then -> now:",
            *changed,
            "finished runs are kept; give the arm another name, or start again: --out FOLDER",
        )
