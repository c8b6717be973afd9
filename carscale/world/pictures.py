"""Hand pictures to a run's tracker, as far as it takes any. H height, W width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carscale import contained
from carscale.runs import RunFolder
from carscale.world.processes import open_world

if TYPE_CHECKING:
    from numpy.typing import NDArray


def track_pictures(
    tracker: str, run: RunFolder, project: str, pictures: dict[str, NDArray[Any]]
) -> bool:
    """Log pictures under a run's name; tell whether the tracker takes pictures.

    TensorBoard, Weights & Biases and their like do; MLflow and trackio log numbers alone.

    Args:
        tracker: ``train.tracker`` of the run; ``none`` logs nothing.
        run: Trackers that write files put them here; its name is the run's.
        project: What the run was logged under: its recipe.
        pictures: uint8 ``[H, W, 3]`` by name.
    """
    if tracker == "none" or not pictures:
        return False
    contained.inside(run.path, project, "folder")  # a run that was received may name any
    with open_world(tracker=tracker, folder=run.path) as world:
        named = {"wandb": {"name": run.name}, "mlflow": {"run_name": run.name}}
        world.accelerator.init_trackers(project, init_kwargs=named)
        takers = [one for one in world.accelerator.trackers if hasattr(one, "log_images")]
        options = {"dataformats": "NHWC"} if tracker == "tensorboard" else {}
        for taker in takers:
            for name, pixels_HWC in pictures.items():
                taker.log_images({name: pixels_HWC[None]}, step=0, **options)
        return bool(takers)
