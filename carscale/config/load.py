"""From text to a checked recipe and back."""

import difflib
import sys
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from carscale import outgoing
from carscale.config.packaged_files import packaged
from carscale.config.plain_yaml import load_yaml, shown
from carscale.config.schema import MIXING, SETTINGS_FILE, Balance, Recipe, Train, expanded
from carscale.errors import ConfigError

COMMAND_LINE = "command line"
INHERITED = ("model.name", "model.attention", "data.root", "data.image_px", "data.fit")
"""What a run that is trained on from another one takes of it."""
INDENT, WIDTH = " " * 6, 100
NONE_IS_A_WORD = frozenset(
    {
        "augment.policy",
        "balance.class_weights",
        "evaluate.temperature",
        "model.attention",
        "train.tracker",
    }
)
"""Keys whose value may be the word ``none``; elsewhere it means nothing."""


def parse(defaults: Recipe, argv: list[str] | None = None) -> Recipe:
    """Return the settings that a script's command line asks for.

    ``--dry-run`` prints them and ``--help`` prints how to call; both end the process with 0, before
    torch is imported.

    Args:
        defaults: What the recipe states.
        argv: Words after the script's name; ``None`` takes them from ``sys.argv``.

    Raises:
        ConfigError: One error with every mistake.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    flags = [word for word in words if word.startswith("-")]
    unknown = [flag for flag in flags if flag not in ("--dry-run", "--help")]
    if unknown:
        raise ConfigError(
            f"{COMMAND_LINE}: unknown option {unknown[0]!r}",
            "settings are bare key=value; options are --dry-run and --help",
        )
    if "--help" in flags:
        sys.stdout.write(outgoing.lines(_usage(defaults)))
        sys.exit(0)
    cfg = resolve(defaults, [word for word in words if word not in flags])
    if "--dry-run" in flags:
        sys.stdout.write(outgoing.lines(to_yaml(cfg)))
        sys.exit(0)
    return cfg


def resolve(defaults: Recipe, overrides: list[str]) -> Recipe:
    """Return ``defaults`` with ``config=file.yaml`` and then ``key=value`` words applied.

    Args:
        defaults: The lowest layer.
        overrides: ``key=value`` words; ``config=`` names a YAML file of settings that lies under
            the other words.

    Raises:
        ConfigError: One error with every mistake: unknown key, wrong type, out of range, no ``=``.

    Example:
        >>> resolve(Recipe(), ["optim.lr=3e-4"]).optim.lr
        0.0003
    """
    tree = defaults.model_dump()
    sources: dict[str, str] = {}
    problems: list[str] = []
    for path in (word[len("config=") :] for word in overrides if word.startswith("config=")):
        for key, value in _flatten(_read_yaml(path)):
            _set(tree, key, value, where=path, sources=sources, problems=problems)
    for word in overrides:
        if word.startswith("config="):
            continue
        key, equals, text = word.partition("=")
        if not equals:
            problems.append(f"{COMMAND_LINE}: {word!r} is no setting; write key=value")
            continue
        _set(tree, key, _as_value(text), where=COMMAND_LINE, sources=sources, problems=problems)
    problems += _inherit(tree, sources)
    if tree["resume"] == "overwrite" and (where := sources.get("resume", "recipe")) != COMMAND_LINE:
        problems.append(
            f"{where}: resume=overwrite: empties a run, so only the command line may ask for it\n"
            "  take it out there; to empty the run type: resume=overwrite"
        )
    return _checked(tree, sources, problems)


def _inherit(tree: dict[str, Any], sources: dict[str, str]) -> list[str]:
    """Take what was not said from the run that is trained on; return what is wrong with that."""
    weights, asked = tree["model"]["weights"], str(tree["finetune"]["inherit"]).lower()
    unsaid = [key for key in INHERITED if key not in sources]
    if asked not in ("true", "1", "yes", "on", "y", "t"):  # what pydantic takes for true
        return []
    if not weights:
        return [
            "model.weights: is not set; finetune.inherit=true trains on from a run; name it: "
            "model.weights=runs/NAME"
        ]
    try:
        path = Path(expanded(str(weights)))
    except ValueError:  # said below, as of every path
        return []
    places = (path, *path.parents[:3])  # a run, its checkpoint, the file in that
    files = [one / SETTINGS_FILE for one in places]
    file = next((one for one in files if one.is_file()), None)
    if file is None:
        return [
            f"model.weights={weights}: holds no run (no config.yaml), which would name model and "
            "data; name a run, or say them yourself and finetune.inherit=false"
        ]
    stored = dict(_flatten(_read_yaml(str(file))))
    for key in unsaid:
        section, name = key.split(".")
        if key in stored:
            tree[section][name] = stored[key]
            sources[key] = str(file)
    tree["finetune"]["inherit"] = False  # done, once: the settings say all now
    return []


def vary(recipe: Recipe, **changes: object) -> Recipe:
    """Return a recipe with some settings changed, checked as those of a command line are.

    Args:
        recipe: The parent.
        **changes: By section: a mapping of the settings that differ; or ``seed=3``.

    Raises:
        ConfigError: One error with every mistake.

    Example:
        >>> vary(Recipe(), balance={"loss": "focal", "gamma": 1.0}).balance.loss
        'focal'
    """
    tree = recipe.model_dump()
    sources: dict[str, str] = {}
    problems: list[str] = []
    for key, value in _flatten(changes):
        _set(tree, key, value, where="recipe", sources=sources, problems=problems)
    return _checked(tree, sources, problems)


def to_yaml(cfg: Recipe) -> str:
    """Return all settings, defaults included, as YAML that ``config=`` reads back."""
    return yaml.safe_dump(cfg.model_dump(), sort_keys=False, allow_unicode=True)


def from_yaml(path: Path) -> Recipe:
    """Read a run's ``config.yaml``.

    Raises:
        ConfigError: The file is missing, no YAML, or holds settings this version does not know.
    """
    return resolve(Recipe(), [f"config={path}"])


def differences(old: Recipe, new: Recipe, *, ignore: tuple[str, ...] = ()) -> list[str]:
    """Return ``key: old -> new`` for every setting that differs.

    Args:
        old: The settings that were.
        new: The settings that are.
        ignore: Keys, or sections, to leave out.

    Example:
        >>> differences(Recipe(), Recipe(seed=3))
        ['seed: 0 -> 3']
    """
    was = dict(_flatten(old.model_dump()))
    return [
        f"{key}: {was[key]} -> {value}"
        for key, value in _flatten(new.model_dump())
        if was[key] != value and key not in ignore and key.split(".")[0] not in ignore
    ]


def flat(tree: dict[str, Any]) -> dict[str, Any]:
    """Return settings by dotted key.

    Example:
        >>> flat({"optim": {"lr": 0.1}, "seed": 0})
        {'optim.lr': 0.1, 'seed': 0}
    """
    return dict(_flatten(tree))


def _of_balance(balance: Balance) -> list[str]:
    """Return mistakes in how the loss weighs classes."""
    problems = []
    if balance.loss == "class-balanced-focal" and balance.class_weights != "none":
        problems.append(
            f"balance.class_weights={balance.class_weights}: balance.loss=class-balanced-focal has "
            "its own, effective; write balance.class_weights=none"
        )
    if balance.loss == "class-balanced-focal" and balance.label_smoothing:
        problems.append(
            f"balance.label_smoothing={balance.label_smoothing:g}: balance.loss="
            "class-balanced-focal takes none; write balance.label_smoothing=0"
        )
    has_weights = balance.class_weights != "none" or balance.loss == "class-balanced-focal"
    if balance.defer_weights and not has_weights:
        problems.append(
            f"balance.defer_weights={balance.defer_weights:g}: there are no class weights to "
            "defer; set balance.class_weights too"
        )
    return problems


def _of_synthetic(cfg: Recipe) -> list[str]:
    """Return mistakes in how synthetic photos are drawn and smoothed."""
    share, sampling, policy = cfg.data.synthetic_share, cfg.balance.sampling, cfg.augment.policy
    if (smoothing := cfg.balance.synthetic_smoothing) and policy in MIXING:
        return [
            f"balance.synthetic_smoothing={smoothing:g}: can't go with augment.policy={policy}, "
            "whose pictures are of two photos; write augment.policy=standard"
        ]
    if share is None or (not cfg.finetune.select and sampling in ("natural", "sqrt", "balanced")):
        return []
    drawn_by = "finetune.select" if cfg.finetune.select else f"balance.sampling={sampling}"
    return [
        f"data.synthetic_share={share:g}: can't go with {drawn_by}, which says how often photos "
        "are drawn; write balance.sampling=balanced"
    ]


def _across_sections(cfg: Recipe) -> list[str]:
    """Return mistakes that need more than one key to see."""
    balance, problems = cfg.balance, []
    samples = cfg.loader.global_batch_size // cfg.train.accumulate_steps
    if samples < 2:
        problems.append(
            f"train.accumulate_steps: {cfg.train.accumulate_steps} micro-steps leave under 2 "
            f"samples each of loader.global_batch_size={cfg.loader.global_batch_size}"
        )
    problems += _of_balance(balance)
    tuned = cfg.finetune
    for key, value in (("distill", tuned.distill), ("pair_margin", tuned.pair_margin)):
        needed = (cfg.model.weights or tuned.inherit) if key == "distill" else tuned.select
        if value and not needed:
            name = "model.weights=RUN" if key == "distill" else "finetune.select=FILE"
            problems.append(f"finetune.{key}={value:g}: has nothing to go by; set {name} too")
    if tuned.select and balance.sampling == "progressive":
        problems.append(
            "balance.sampling=progressive: can't go with finetune.select, which says how often "
            "photos are drawn; write balance.sampling=balanced"
        )
    problems += _of_synthetic(cfg)
    if cfg.data.num_folds == 1 or cfg.data.fold >= max(1, cfg.data.num_folds):
        problems.append(
            f"data.fold={cfg.data.fold}: is no part of data.num_folds={cfg.data.num_folds}; take 2 "
            "folds or more, and a fold below that"
        )
    if cfg.augment.policy == "snapmix" and cfg.data.partial == "use":
        problems.append(
            "augment.policy=snapmix: photos of data.partial=use have no class to draw a map of; "
            "write augment.policy=cutmix"
        )
    problems += _blinded(cfg.train)
    if cfg.train.grow_from_px > cfg.data.image_px:
        problems.append(
            f"train.grow_from_px={cfg.train.grow_from_px}: larger than "
            f"data.image_px={cfg.data.image_px}, which it grows to"
        )
    return problems


def _blinded(train: Train) -> list[str]:
    """Return the mistake of choosing among epochs of which the last alone is scored."""
    every = train.eval_every_epochs
    if train.num_epochs == 1 or 0 < every < train.num_epochs:
        return []
    needy = [f"train.patience={train.patience}"] if train.patience else []
    needy += ["train.select=best"] if train.select == "best" else []
    if not needy:
        return []
    return [
        f"train.eval_every_epochs={every}: scores the last of {train.num_epochs} epochs alone, and "
        f"{' and '.join(needy)} compare epochs by their val score; write train.eval_every_epochs=1,"
        " or train.select=last train.patience=0"
    ]


def _read_yaml(path: str) -> dict[str, Any]:
    """Read a mapping of settings: a file, or else a preset that comes with carscale."""
    file = Path(path) if Path(path).exists() else packaged(path) or Path(path)
    _, tree = load_yaml(file)
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds no settings", "write lines such as: optim: {lr: 3e-4}")
    return tree


def _flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return dotted keys and their values."""
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        pairs += _flatten(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs


def _as_value(text: str) -> str | None:
    """Read ``none`` as nothing; all else stays text, and the field's type converts it."""
    return None if text.lower() in ("none", "null", "") else text


def _set(
    tree: dict[str, Any],
    key: str,
    value: object,
    *,
    where: str,
    sources: dict[str, str],
    problems: list[str],
) -> None:
    """Put ``value`` at a dotted key, or say why that key is none."""
    section, _, name = key.rpartition(".")
    branch = tree.get(section) if section else tree
    if not isinstance(branch, dict) or name not in branch or isinstance(branch[name], dict):
        fault, *hints = _unknown_key(tree, key)
        problems += [f"{where}: {fault}", *hints]
        return
    is_word = value is None and key in NONE_IS_A_WORD
    branch[name] = "none" if is_word else value
    sources[key] = where


def _unknown_key(tree: dict[str, Any], key: str) -> list[str]:
    """Return what an unknown key was perhaps meant to be, and the keys of its section, as lines."""
    known = [name for name, _ in _flatten(tree)]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not near:  # right name, wrong or no section
        near = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]][:1]
    section = (near[0] if near else key).rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == section] or list(tree)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    names = [name.rpartition(".")[2] for name in siblings if name not in near]
    return [f"unknown key {key!r}{hint}", f"other keys of the section: {', '.join(names)}"]


def _checked(tree: dict[str, Any], sources: dict[str, str], problems: list[str]) -> Recipe:
    """Return the checked recipe, or raise with all problems, one for each wrong value."""
    try:
        cfg = Recipe.model_validate(tree)
        problems += _across_sections(cfg)
        if not problems:
            return cfg
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            key = ".".join(str(part) for part in fault["loc"])
            where = sources.get(key, "recipe")
            wanted = fault["msg"].removeprefix("Input should be ")
            wanted = wanted.removeprefix("Value error, ")
            problems.append(f"{where}: {key}={shown(fault['input'])}: should be {wanted}")
    raise ConfigError(*problems)


def _usage(defaults: Recipe) -> str:
    """Return what ``--help`` prints: the usage, and every setting with its value here."""
    lines = [
        "Usage: accelerate launch RECIPE.py [key=value ...] [config=FILE.yaml] [--dry-run]",
        "",
        f"Settings of {Path(sys.argv[0]).name}, their values here, and what they mean:",
    ]
    for name, field in type(defaults).model_fields.items():
        value = getattr(defaults, name)
        if not isinstance(value, BaseModel):
            lines += _knob(name, value, field)
            continue
        about = (type(value).__doc__ or "").splitlines()[0].replace("``", "")
        lines += ["", f"{name}: {about}"]
        for key, knob in type(value).model_fields.items():
            lines += _knob(f"{name}.{key}", getattr(value, key), knob)
    return "\n".join(lines) + "\n"


def _knob(key: str, value: object, field: FieldInfo) -> list[str]:
    """Return a setting's lines: its value, the choices it has, what it means."""
    lines = [f"  {key}={'none' if value is None else value}"]
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    about = " ".join((field.description or "").replace("``", "").split())
    lines += textwrap.wrap(" ".join(words), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return lines + textwrap.wrap(about, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
