"""``carscale data synth ROOT OUT --method METHOD``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from carscale import outgoing
from carscale.cli.data.merge import say_merged
from carscale.cli.options import ClassFilter, Force, Link, NewVersion, Root, Seed, typed_options

OF_METHOD = {
    "background": ("masks",),
    "generate": ("model", "lora", "prompt", "strength", "longer_px"),
}
"""Options that one method alone takes."""


def synth(
    ctx: typer.Context,
    root: Root,
    out: NewVersion,
    method: Annotated[
        Literal["background", "viewpoint", "degrade", "generate"],
        typer.Option(
            help="background: the car on another photo's ground; viewpoint: mild perspective; "
            "degrade: another camera; generate: image to image by --model."
        ),
    ],
    classes: Annotated[
        list[str] | None,
        typer.Option(
            help="rare: fewer train photos than the median class; uniform: all of one light and "
            "sharpness, what degrade takes without it; or a class's name, once or more."
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            help="Photos that join each class; without it up to the median class, or of uniform as "
            "many as are real."
        ),
    ] = None,
    max_ratio: Annotated[
        float, typer.Option(help="Synthetic photos for each real one of a class, at most.")
    ] = 3.0,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run on this data: finds the cars, judges what was made."),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder of train/CLASS/PHOTO.png, white where the car is; with --run those that "
            "lack are found and kept there."
        ),
    ] = None,
    class_filter: ClassFilter = True,
    model: Annotated[
        str | None,
        typer.Option(help="Of --method generate: a pipeline's folder, or its id on the hub."),
    ] = None,
    lora: Annotated[str, typer.Option(help="Weights to add to --model: folder, file or id.")] = "",
    prompt: Annotated[
        str, typer.Option(help="Of generate: {name}, {make}, {model}, {body}, {year}.")
    ] = "a photo of a {name}",
    strength: Annotated[
        float, typer.Option(help="Of generate: how far from the parent, above 0 to 1.")
    ] = 0.5,
    longer_px: Annotated[
        int, typer.Option(min=64, help="Of generate: longer side of its photos.")
    ] = 512,
    seed: Seed = 0,
    link: Link = "copy",
    force: Force = False,
) -> None:
    """Add synthetic photos to train, in a new version; val and test stay byte for byte.

    Photos that show val or test, are of low quality, or do not look like their class, are refused.

    Example: carscale data synth data/cars data/cars-synth --method background --run runs/focal
    """
    from carscale import progress, workflows
    from carscale.errors import ConfigError
    from carscale.synth import KINDS, Generator, SynthRule

    for owner, options in OF_METHOD.items():
        if method != owner and (words := typed_options(ctx, *options)):
            raise ConfigError(
                f"{words[0]} is for {owner}, not for --method {method}", f"leave {words[0]} out"
            )
    if method == "generate" and model is None:
        raise ConfigError(
            "--method generate needs --model",
            "for example: --method generate --model stabilityai/sd-turbo",
        )
    names = tuple(dict.fromkeys(classes or ()))
    kind = next((kind for kind in KINDS if kind in names), None)
    if kind is not None and len(names) > 1:
        raise ConfigError(f"--classes {kind} and names contradict", "give one or the other")
    rule = SynthRule(method, () if kind else names, per_class, max_ratio, seed, kind)
    generator = None
    if model is not None:
        generator = Generator(model, prompt, strength, longer_px=longer_px, lora=lora)
    how = workflows.SynthHow(run, masks, generator, class_filter, link, force)
    made = workflows.synthesise(root, out, rule, how)
    say_merged(made, out)
    progress.note(
        f"look at them: {outgoing.command('carscale', 'data', 'report', out)}; whether they help "
        "is for a study to say: name both folders in recipes/studies/synthetic.yaml"
    )
