"""Does training leak? Memory, threads and open files of long runs: each backend, two processes.

    python benchmarks/soak.py data/demo --minutes 30

Trains the recipe with a tiny network, so that the loader works at full speed, and looks at the
process every five seconds. Scoring, checkpoints and logs go on as in any run. Prints the medians of
the second and the last third of the time; exits with 1 where the last is more than 3 % above.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
WORDS = (
    "data.image_px=64",
    "model.name=test_vit",
    "model.pretrained=false",
    "model.drop_rate=0",
    "model.drop_path_rate=0",
    "train.num_epochs=1000000",
    "train.checkpoint_every_steps=500",
    "train.num_cpu_threads=1",
    "optim.lr=0.0001",
)
ALLOWED = 0.03
LOOK_EVERY_S = 5.0


def watch(root: str, kind: str, minutes: float) -> dict[str, list[float]]:
    """Train for some minutes; return what was seen of the ranks, summed."""
    backend, _, num_processes = kind.partition(":")
    seen = {"memory, MiB": [], "threads": [], "open files": []}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log.txt").open("w") as log:
        words = [f"data.root={root}", f"loader.backend={backend}", f"run.dir={folder}"]
        launch = ["--config_file", str(ROOT / f"accelerate_configs/cpu{num_processes or 1}.yaml")]
        command = [sys.executable, "-m", "carscale", "train", "effnet_focal", *words, *WORDS]
        process = subprocess.Popen([*command, *launch], stdout=log, stderr=log)
        launcher = psutil.Process(process.pid)
        end = time.monotonic() + 60 * minutes
        try:
            while time.monotonic() < end:
                time.sleep(LOOK_EVERY_S)
                if process.poll() is not None:
                    said = (Path(folder) / "log.txt").read_text()[-2000:]
                    raise SystemExit(f"{kind}: ended with {process.returncode}\n{said}")
                ranks = launcher.children()
                seen["memory, MiB"].append(sum(r.memory_full_info().uss for r in ranks) / 2**20)
                seen["threads"].append(sum(r.num_threads() for r in ranks))
                seen["open files"].append(sum(r.num_fds() for r in ranks))
            steps = list(Path(folder).glob("*/checkpoints/step_*"))
            print(f"{kind}: at step {max(p.name for p in steps)}", file=sys.stderr)
        finally:
            process.terminate()
            process.wait()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", help="frozen folder")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--kinds", default="torch,torch:2,dali_cpu", help="backend, :2 for two processes"
    )
    args = parser.parse_args()
    is_flat = True
    print("| backend | what | second third | last third | change |\n|---|---|---|---|---|")
    for kind in args.kinds.split(","):
        for what, values in watch(args.root, kind, args.minutes).items():
            third = len(values) // 3
            before, after = (
                statistics.median(part) for part in (values[third : 2 * third], values[2 * third :])
            )
            change = after / before - 1
            is_flat &= change <= ALLOWED
            row = f"| {kind} | {what} | {before:.1f} | {after:.1f} | {change:+.1%} |"
            print(row, flush=True)
    sys.exit(0 if is_flat else 1)


if __name__ == "__main__":
    main()
