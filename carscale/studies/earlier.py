"""Runs of earlier studies that tell how far seeds of the same data and recipe lie apart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from carscale.config import ARM_NAME
from carscale.errors import CarscaleError
from carscale.progress import note
from carscale.runs import RunFolder
from carscale.studies.plan import StudyPlan, read_stored


def earlier_runs(plan: StudyPlan) -> list[list[Path]]:
    """Return finished runs of the studies beside this one, by arm.

    A study counts where its photos are the same and one of its arms has all settings of this one's
    baseline. Arms that this study trains itself are left out: equal settings and seeds make equal
    runs, which would count twice.
    """
    mine = plan.stored()["arms"]
    own = [_key(arm) for arm in mine.values()]
    base = _key(mine[plan.study.baseline])
    found: list[list[Path]] = []
    for path in sorted(plan.folder.parent.glob("*/plan.json")):
        if path.parent.resolve() == plan.folder.resolve():
            continue
        try:
            stored = read_stored(path)["arms"]
        except (CarscaleError, OSError) as error:
            note(f"left out of the spread of seeds: {error}")
            continue
        keys = {name: _key(arm) for name, arm in stored.items() if re.fullmatch(ARM_NAME, name)}
        if base in keys.values():
            new = [name for name, key in keys.items() if key not in own]
            own += [keys[name] for name in new]
            found += [_finished(path.parent / "runs", name) for name in new]
    return [runs for runs in found if len(runs) > 1]


def _key(arm: dict[str, Any]) -> str:
    """Return what makes an arm's runs: recipe, settings, photos."""
    settings = dict(arm["settings"])
    if isinstance(settings.get("data"), dict):
        settings["data"] = settings["data"] | {"root": None}
    return json.dumps([arm["recipe_hash"], settings, arm["hashes"]], sort_keys=True)


def _finished(folder: Path, arm: str) -> list[Path]:
    """Return an arm's finished runs."""
    named = [
        path for path in sorted(folder.glob(f"{arm}-s*")) if path.name[len(arm) + 2 :].isdigit()
    ]
    return [path for path in named if RunFolder(path).is_finished]
