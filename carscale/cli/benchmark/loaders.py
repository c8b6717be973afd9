"""``carscale benchmark``: its commands, and ``loaders``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from carscale.cli.benchmark import models
from carscale.cli.options import Fit, Force, Json
from carscale.cli.output import print_json, print_table, say

app = typer.Typer(
    help="Measure loaders and models on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

BACKENDS = ("torch", "dali_cpu", "dali_gpu")
VIEWS = ("train", "plain")


@app.callback()
def benchmark() -> None:
    """Measure loaders and models on this machine."""


app.command("models")(models.models)


@app.command("loaders")
def loaders(
    root: Annotated[Path, typer.Argument(help="Frozen folder.")],
    backends: Annotated[
        str, typer.Option(help="Of torch,dali_cpu,dali_gpu; all that run here when empty.")
    ] = "",
    peers: Annotated[
        str, typer.Option(help="Of torchvision,timm,dali-stock; none: no peers.")
    ] = "torchvision,timm,dali-stock",
    views: Annotated[str, typer.Option(help="Of train,plain.")] = "train,plain",
    model: Annotated[str, typer.Option(help="timm's name, for the headroom.")] = (
        "tf_efficientnet_lite0"
    ),
    image_px: Annotated[int, typer.Option(min=16, max=2048, help="Side of the input.")] = 224,
    fit: Fit = "crop",
    local_batch_size: Annotated[int, typer.Option(min=2, help="Samples a batch.")] = 32,
    num_threads: Annotated[
        int | None, typer.Option(min=1, help="Threads or workers an arm; all cores when absent.")
    ] = None,
    num_rounds: Annotated[int, typer.Option(min=5, help="Timed rounds, after a warm one.")] = 6,
    num_images: Annotated[int, typer.Option(min=1, help="Images a round.")] = 1024,
    out: Annotated[Path, typer.Option(help="Folder for loaders.json, .png and .svg.")] = Path(
        "benchmark-loaders"
    ),
    as_json: Json = False,
    force: Force = False,
) -> None:
    """Compare our backends, other tools' loaders, the bare decoder and the model, in turns.

    Example: carscale benchmark loaders data/demo --views train
    """
    from carscale import data, progress, threads
    from carscale.errors import ConfigError

    splits = data.read_splits(root)
    has_gpu = _has_gpu()
    arms = _arms(backends, peers, has_gpu=has_gpu, is_pack=splits.train.store is not None)
    if len(splits.train) < local_batch_size:
        raise ConfigError(
            f"--local-batch-size {local_batch_size}: larger than the {len(splits.train)} photos of "
            f"train in {root}",
            f"take --local-batch-size {max(2, len(splits.train) // 2)}, or more photos",
        )
    _check_out(out, force)
    chosen_views = _words("--views", views, VIEWS)

    from carscale.benchmark import RaceRule, race

    rule = RaceRule(
        root=str(root.resolve()),
        arms=arms,
        views=chosen_views,
        model=model,
        num_classes=len(splits.classes),
        image_px=image_px,
        fit=fit,
        local_batch_size=local_batch_size,
        num_threads=num_threads or threads.num_cores(),
        num_rounds=num_rounds,
        num_images=num_images,
        has_gpu=has_gpu,
    )
    steps = len(chosen_views) * len(arms) * (num_rounds + 2)
    with progress.bar("benchmark", steps, unit="steps") as advance:
        result = race(rule, advance=lambda text: advance(1, text))
    if as_json:
        print_json(result)
    else:
        _print_table(result)
    paths = _write(result, out)
    progress.note("wrote " + ", ".join(str(path) for path in paths))


def _has_gpu() -> bool:
    """Tell whether torch sees a GPU."""
    import torch

    return bool(torch.cuda.is_available())


def _arms(backends: str, peers: str, *, has_gpu: bool, is_pack: bool) -> tuple[str, ...]:
    """Return the arms that the options name, those that run here where they name none."""
    from carscale.loaders import has_dali
    from carscale.progress import note

    runs_here = ["torch", *(["dali_cpu"] if has_dali() else [])]
    runs_here += ["dali_gpu"] if has_dali() and has_gpu else []
    ours = _words("--backends", backends, BACKENDS) if backends else tuple(runs_here)
    known = ("torchvision", "timm", "dali-stock", *(["dali-stock-gpu"] if has_gpu else []))
    others = () if peers in ("", "none") else _words("--peers", peers, known)
    if has_gpu and "dali-stock" in others:
        others = (*others, "dali-stock-gpu")
    if is_pack and others:
        note(f"left out, since they read folders and this is a pack: {', '.join(others)}")
        others = ()
    missing = tuple(name for name in others if name.startswith("dali") and not has_dali())
    if missing:
        note(f"left out: {', '.join(missing)}: DALI is not installed (carscale[dali])")
    others = tuple(dict.fromkeys(name for name in others if name not in missing))
    return ("model", "floor", *ours, *others)


def _check_out(out: Path, force: bool) -> None:
    """Raise when the results could not be written there, before minutes are spent on them."""
    from carscale import disk
    from carscale.errors import ConfigError

    if (out / "loaders.json").exists() and not force:
        raise ConfigError(f"--out {out}: holds results", "replace them: --force; or another --out")
    try:
        with disk.writing(out):
            out.mkdir(parents=True, exist_ok=True)
            (out / ".writable").touch()
            (out / ".writable").unlink()
    except OSError as error:
        raise ConfigError(f"--out {out}: can't be written: {error}") from error


def _words(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return an option's words, checked."""
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word not in known:
            raise _wrong(option, word, known)
    if not words:
        raise _wrong(option, text, known)
    return words


def _wrong(option: str, word: str, known: tuple[str, ...]) -> Exception:
    """Return the error of a word that an option does not know."""
    from carscale.errors import ConfigError

    return ConfigError(f"{option} {word}: must be of {', '.join(known)}")


def _write(result: dict[str, Any], out: Path) -> list[Path]:
    """Write the numbers and the picture."""
    from carscale import files
    from carscale.report.page.bars import write_speeds

    pictures = write_speeds(result["rows"], out, ours=set(BACKENDS))
    files.write_json(out / "loaders.json", result)
    return [out / "loaders.json", *pictures]


def _print_table(result: dict[str, Any]) -> None:
    """Print rows, ratios and the advice for people."""
    rule = result["rule"]
    say(
        f"{rule['root']}: {rule['image_px']} px, uint8, batches of {rule['local_batch_size']}, "
        f"{rule['num_threads']} threads or workers, {rule['num_rounds']} rounds of "
        f"{rule['num_images']} images; median and interval of images/s"
    )
    lines = []
    for row in sorted(result["rows"], key=lambda row: (row["view"] != "train", -row["median"])):
        headroom = "" if row["headroom"] is None else f"{row['headroom']:.1f}x"
        memory = f"{row['memory_gib']:.2f} GiB"
        if row["gpu_memory_gib"]:
            memory += f" + {row['gpu_memory_gib']:.1f} GPU"
        speed = f"{row['median']:,.0f}", f"{row['low']:,.0f} to {row['high']:,.0f}"
        cells = (f"{row['cpu_share']:.0%}", memory, f"{row['first_batch_s']:.1f} s", headroom)
        lines.append((row["view"], row["arm"], *speed, *cells))
    numbers = ("images/s", "interval", "CPU", "memory", "first batch", "headroom")
    print_table(("view", "arm", *(f">{name}" for name in numbers)), lines)
    for ratio in result["ratios"]:
        say(
            f"{ratio['view']}: {ratio['arm']} / {ratio['peer']}: {ratio['median']:.2f}x "
            f"(rounds: {ratio['low']:.2f} to {ratio['high']:.2f})"
        )
    if result["advice"]:
        advice = result["advice"]
        say(f"take loader.backend={advice['backend']}: {advice['why']}")
