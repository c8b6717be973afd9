"""A study's YAML: arms of one recipe or of several, seeds, how long each run may train."""

from __future__ import annotations

import difflib
import itertools
import math
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from carscale.config.packaged_files import beside_a_study
from carscale.config.plain_yaml import load_yaml, shown
from carscale.errors import ConfigError

ARMS_MAX = 64
MAX_SEEDS = 1000
"""A run each: more than anybody trains, few enough to list."""
ARM_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
SETTING = str | float | int | bool | None
StudyMetric = Literal["top1", "balanced_accuracy", "macro_f1", "log_loss"]


class _Strict(BaseModel):
    """Frozen, no other keys, no number that is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Budget(_Strict):
    """How long every run trains: epochs, or seconds of training on this machine.

    Attributes:
        epochs: Of every run.
        seconds: Of every run's training.
        minutes: Of the whole study on this machine: it is looked at after every round of runs, and
            trains on only what is not settled.
    """

    epochs: Annotated[int, Field(ge=1)] | None = None
    seconds: PositiveFloat | None = None
    minutes: PositiveFloat | None = None


class Arm(_Strict):
    """One way to train.

    Attributes:
        name: Letters, digits, ``.``, ``_``, ``+`` and ``-``.
        recipe: The script.
        config: A YAML file of settings that lies under all others.
        settings: What differs from the recipe, by dotted key; not what all arms share.
    """

    name: Annotated[str, Field(pattern=ARM_NAME, max_length=80)]
    recipe: Path
    config: Path | None = None
    settings: dict[str, SETTING]


class Study(_Strict):
    """What a study file says.

    Attributes:
        name: The file's name without its ending.
        about: One sentence, for the page.
        settings: Of all arms, by dotted key.
        arms: In the file's order.
        baseline: The arm that the others are compared with.
        seeds: One run of each arm a seed.
        budget: ``None`` leaves the length to the recipe.
        metric: What arms are compared by; of ``log_loss``, 0.01 counts as a point.
        margin: Points; a difference smaller than this is none.
    """

    name: str
    about: str = ""
    settings: dict[str, SETTING] = {}
    arms: tuple[Arm, ...]
    baseline: str
    seeds: tuple[Annotated[int, Field(ge=0, lt=1 << 63)], ...]  # what torch takes
    budget: Budget = Budget()
    metric: StudyMetric = "top1"
    margin: Annotated[float, Field(gt=0, lt=100)] = 1.0


KEYS = {
    *("about", "recipe", "settings", "arms", "factors", "baseline"),
    *("seeds", "budget", "metric", "margin"),
}


def read_study(path: Path) -> Study:
    """Read a study file.

    ``arms`` names each arm and what it changes; ``factors`` crosses them instead, all levels of one
    with all of the others (the first levels are the baseline). Paths of recipes start at the file.

    Raises:
        ConfigError: One error that names the file, the key, and what was wanted.
    """
    tree = _read(path)
    unknown = [key for key in tree if key not in KEYS]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), KEYS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"{path}: unknown key {shown(unknown[0])}{hint}", f"keys: {', '.join(sorted(KEYS))}"
        )
    if ("arms" in tree) == ("factors" in tree):
        raise ConfigError(f"{path}: holds arms and factors, or neither; wanted one of them")
    recipe = tree.pop("recipe", None)
    named = _crossed(path, tree.pop("factors")) if "factors" in tree else tree.pop("arms")
    arms = _arms(path, named, recipe)
    tree["arms"], tree["name"] = arms, path.stem
    tree.setdefault("baseline", arms[0]["name"])
    if not isinstance(tree["baseline"], str):
        raise ConfigError(
            f"{path}: baseline={shown(tree['baseline'])}: wanted an arm's name",
            f"quote it: baseline: '{shown(tree['baseline'])}'",
        )
    tree["seeds"] = _seeds(path, tree.get("seeds", 3))
    try:
        study = Study.model_validate(tree)
    except ValidationError as error:
        faults = [
            f"{path}: {'.'.join(str(part) for part in fault['loc'])}={shown(fault['input'])}: "
            f"should be {fault['msg'].removeprefix('Input should be ')}"
            for fault in error.errors(include_url=False)
        ]
        raise ConfigError(*faults) from error
    _check(path, study)
    return study


def _read(path: Path) -> dict[str, Any]:
    """Read the file as a mapping."""
    _, tree = load_yaml(path)
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds no study", "see one with: carscale recipes balance")
    return tree


def _crossed(path: Path, factors: object) -> dict[str, Any]:
    """Return an arm for each combination of levels."""
    if not isinstance(factors, dict) or not all(
        isinstance(levels, dict) and levels for levels in factors.values()
    ):
        raise ConfigError(
            f"{path}: factors: wanted a mapping of factors, each a mapping of levels",
            "factors: {sampling: {natural: {}, sqrt: {balance.sampling: sqrt}}}",
        )
    num_arms = math.prod(len(levels) for levels in factors.values())
    if num_arms > ARMS_MAX:
        raise ConfigError(f"{path}: factors: make {num_arms} arms; wanted 2 to {ARMS_MAX}")
    arms: dict[str, Any] = {}
    for levels in itertools.product(*(levels.items() for levels in factors.values())):
        settings: dict[str, Any] = {}
        for _, changes in levels:
            if not isinstance(changes, dict | None):
                raise ConfigError(f"{path}: factors: {shown(changes)}: wanted settings by key")
            both = sorted(set(settings) & set(changes or {}))
            if both:
                raise ConfigError(f"{path}: factors: two of them set {both[0]}")
            settings |= changes or {}
        joined = "+".join(str(name) for name, _ in levels)
        if joined in arms:
            raise ConfigError(f"{path}: factors: two combinations are called {joined!r}")
        arms[joined] = settings
    return arms


def _arms(path: Path, named: object, recipe: object) -> list[dict[str, Any]]:
    """Return arms with their recipes' paths."""
    if not isinstance(named, dict) or not named:
        raise ConfigError(f"{path}: arms: wanted a mapping of names to settings")
    arms = []
    for name, changes in named.items():
        settings = dict(changes or {}) if isinstance(changes, dict | None) else None
        if settings is None:
            raise ConfigError(
                f"{path}: arms.{str(name)[:80]}={shown(changes)}: wanted settings by dotted key"
            )
        own, preset = settings.pop("recipe", recipe), settings.pop("config", None)
        if not isinstance(own, str):
            raise ConfigError(
                f"{path}: arms.{name}: has no recipe", "write recipe: ../effnet_baseline.py"
            )
        arm = {"name": str(name), "recipe": _near(path, str(name), own), "settings": settings}
        arms.append(arm | ({"config": _near(path, str(name), str(preset))} if preset else {}))
    return arms


def _near(path: Path, arm: str, name: str) -> Path:
    """Return the path of an arm's recipe or preset, as short as people write it."""
    found = beside_a_study(path, name)
    if found is not None:
        return found
    near = Path(os.path.normpath(path.parent / name))
    if not near.is_file():
        raise ConfigError(
            f"{path}: arms.{arm}: no such recipe {near}", "paths of recipes start at the study file"
        )
    raise ConfigError(
        f"{path}: arms.{arm}: {near} lies neither below the study's folder nor below the working "
        "folder, or behind a link",
        "if you trust it, copy it beside the study file; or start carscale in its folder",
    )


def _seeds(path: Path, seeds: object) -> list[int]:
    """Return seeds: a list, or how many from 0 on."""
    if isinstance(seeds, int) and not isinstance(seeds, bool) and 1 <= seeds <= MAX_SEEDS:
        return list(range(seeds))
    listed = seeds if isinstance(seeds, list) else []
    if 1 <= len(listed) <= MAX_SEEDS and len(set(map(str, listed))) == len(listed):
        return listed
    raise ConfigError(
        f"{path}: seeds={shown(seeds)}: wanted a number of seeds or a list of others, "
        f"at most {MAX_SEEDS}"
    )


def _check(path: Path, study: Study) -> None:
    """Raise where parts of a study contradict each other."""
    names = [arm.name for arm in study.arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{path}: arms: {twice!r} stands twice")
    if study.baseline not in names:
        raise ConfigError(
            f"{path}: baseline={study.baseline}: no such arm", f"arms: {', '.join(names)}"
        )
    if not 2 <= len(names) <= ARMS_MAX:
        raise ConfigError(f"{path}: {len(names)} arms; wanted 2 to {ARMS_MAX}")
    if study.budget.epochs and study.budget.seconds:
        raise ConfigError(f"{path}: budget: epochs and seconds; wanted one of them")
    for arm in study.arms:
        if arm.recipe.suffix != ".py":
            raise ConfigError(f"{path}: arms.{arm.name}: {arm.recipe} is no recipe: wanted a .py")
        both = sorted(set(arm.settings) & set(study.settings))
        if both:
            raise ConfigError(
                f"{path}: arms.{arm.name}: {both[0]} is set by settings too; wanted one of them"
            )
