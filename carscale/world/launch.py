"""Start the processes of a training, pass signals on, start them again; leave none behind.

Chosen: the ranks are our children, in a session of their own, with the environment that
``accelerate launch`` would give them. Rejected: ``accelerate launch`` between us: of several ranks
it prints tracebacks, hides exit codes, leaves the one rank of a killed launcher behind, and its
restarts meet the addresses of ranks that are gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from carscale import outgoing
from carscale.errors import ConfigError, Stopped
from carscale.progress import note
from carscale.world.stopping import heeded

POLL_S = 0.05
GRACE_S = 3.0
"""What the other ranks get to end by themselves when one has ended by an error."""
STOP_S = 30.0
"""What they get when all were asked to stop: rank 0 saves."""
SEVERAL_MACHINES_PAUSE_S = 10.0
"""Before a restart: ranks on other machines have to notice the end of this one's."""
NO_RESTART = (0, 2, 129, 130, 143)
"""Exit codes after which another try would end alike: done, wrong input, asked to stop."""


@dataclass
class Plan:
    """The ranks of this machine.

    Attributes:
        environments: Of each, beside this process's.
        num_machines: All that train together.
    """

    environments: list[dict[str, str]] = field(default_factory=list)
    num_machines: int = 1


def plan_ranks(words: Sequence[str]) -> Plan:
    """Return the ranks that ``accelerate launch`` would start here.

    On one machine the address is this machine's and the port a free one, another at each call.

    Args:
        words: Options of ``accelerate launch``: ``["--config_file", "gpu8.yaml"]``.

    Raises:
        ConfigError: An option that is not known, a file that can't be read, several processes that
            would be one, or DeepSpeed, FSDP and the like.
    """
    from accelerate.utils import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env

    args = _parsed(words)
    kinds = ("use_deepspeed", "use_fsdp", "use_megatron_lm", "tpu")
    others = [kind for kind in kinds if getattr(args, kind, False)]
    if others:
        raise ConfigError(
            f"the settings of accelerate launch ask for {others[0]}; recipes train by DDP alone",
            "name a file that asks for nothing else: --config_file gpu2.yaml",
        )
    if not args.multi_gpu or args.cpu:
        if (args.num_processes or 1) > 1:
            raise ConfigError(
                f"--launch: accelerate starts one process here, not {args.num_processes}, and says "
                "nothing",
                "on a CPU, take distributed_type: MULTI_GPU with use_cpu: true, as cpu2.yaml does",
            )
        return Plan([_changes(prepare_simple_launcher_cmd_env(args)[1])])
    num_machines = args.num_machines or 1
    if num_machines == 1:
        args.main_process_port = 0
    common = _changes(prepare_multi_gpu_env(args))
    local_size = int(args.num_processes) // num_machines
    first = int(args.machine_rank or 0) * local_size
    common |= {
        "MASTER_ADDR": "127.0.0.1" if num_machines == 1 else str(args.main_process_ip),
        "MASTER_PORT": str(args.main_process_port),
        "WORLD_SIZE": str(args.num_processes),
        "LOCAL_WORLD_SIZE": str(local_size),
    }
    ranks = [
        common | {"RANK": str(first + local), "LOCAL_RANK": str(local)}
        for local in range(local_size)
    ]
    return Plan(ranks, num_machines)


def environment_of_one() -> dict[str, str] | None:
    """Return what the launcher adds to the environment of its only rank, on CPUs.

    ``None`` where it would start several, or refuse, or where there is a GPU: its driver does not
    outlive a fork.
    """
    import torch

    if torch.cuda.is_available():
        return None
    try:
        environments = plan_ranks(()).environments
    except ConfigError:  # the launcher says it when it is asked
        return None
    return environments[0] if len(environments) == 1 else None


def _parsed(words: Sequence[str]) -> Namespace:
    """Return the options of ``accelerate launch``, those of its file filled in."""
    import logging

    from accelerate.commands import launch

    logging.getLogger(launch.__name__).setLevel(logging.ERROR)  # it lists its defaults
    try:
        args = launch.launch_command_parser().parse_args([*words, "RECIPE.py"])
        return launch._validate_launch_command(args)[0]
    except SystemExit as error:  # argparse has said why
        raise ConfigError(
            f"--launch: accelerate launch does not take {' '.join(words)!r}",
            "list its options with: accelerate launch --help",
        ) from error
    except Exception as error:  # its reader of YAML raises kinds of its own
        raise ConfigError(f"--launch: {' '.join(words)}: {' '.join(str(error).split())}") from error


def _changes(environment: dict[str, str]) -> dict[str, str]:
    """Return what an environment adds to this process's."""
    return {name: value for name, value in environment.items() if os.environ.get(name) != value}


def run_ranks(command: Sequence[str], launch: Sequence[str], *, restarts: int = 0) -> int:
    """Run a command as the ranks of this machine; return what they ended with.

    SIGTERM, Ctrl-C, SIGUSR1 and SIGHUP are passed on, and waited for. The ranks are ended, whatever
    happens.

    Args:
        command: What each rank runs.
        launch: Options of ``accelerate launch``.
        restarts: How often all ranks are started again when one died.

    Returns:
        The exit code of the rank that ended first by an error; 0 where none did.

    Raises:
        ConfigError: As ``plan_ranks``.
    """
    for attempt in range(restarts + 1):
        plan = plan_ranks(launch)
        rank, code = _Group(command, plan.environments).run()
        if code in NO_RESTART or attempt == restarts:
            return code
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        note(f"rank {rank} ended {how}; starting all again, {attempt + 1} of {restarts}")
        time.sleep(SEVERAL_MACHINES_PAUSE_S if plan.num_machines > 1 else 0)
    raise AssertionError("unreachable")


class _Group:
    """Ranks that run."""

    def __init__(self, command: Sequence[str], environments: Sequence[dict[str, str]]) -> None:
        self._command, self._environments = command, environments
        self._ranks: list[subprocess.Popen[str]] = []
        self._copying: list[threading.Thread] = []
        self._asked = 0

    def run(self) -> tuple[str, int]:
        """Run them to their end; return the rank that failed first and its code."""
        with self._signals_passed_on():
            try:
                self._start()
                return self._wait()
            except KeyboardInterrupt:  # from a thread of a notebook
                self._send(signal.SIGINT)
                return self._wait()
            finally:
                self._end()

    def _start(self) -> None:
        """Start all; what they say goes to our stderr, which has no descriptor in a notebook."""
        try:
            stderr = sys.stderr.fileno()
        except (OSError, AttributeError, ValueError):
            stderr = subprocess.PIPE
        for environment in self._environments:
            rank = subprocess.Popen(
                self._command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                errors="replace",
            )
            self._ranks.append(rank)
            if rank.stdout is not None:
                self._copying.append(threading.Thread(target=_copy, args=(rank.stdout,)))
                self._copying[-1].start()

    def _wait(self) -> tuple[str, int]:
        """Wait until all have ended, or one has by an error and the others had their time."""
        failed: tuple[str, int] | None = None
        deadline = float("inf")
        while time.monotonic() < deadline:
            codes = [rank.poll() for rank in self._ranks]
            for code, environment in zip(codes, self._environments, strict=True):
                if code and failed is None:
                    failed = (environment.get("RANK", "0"), code)
                    deadline = time.monotonic() + (STOP_S if self._asked else GRACE_S)
            if None not in codes:
                break
            time.sleep(POLL_S)
        if self._asked and failed is not None:  # a rank that was not yet listening just ends
            return failed[0], Stopped(self._asked).exit_code
        return failed or ("0", 0)

    def _send(self, number: int) -> None:
        """Send a signal to the ranks that run."""
        self._asked = self._asked or number
        for rank in self._ranks:
            if rank.poll() is None:
                rank.send_signal(number)

    def _end(self) -> None:
        """End what still runs, with all that it started."""
        for rank in self._ranks:
            if rank.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(rank.pid, signal.SIGKILL)
                rank.wait()
        for thread in self._copying:
            thread.join()

    @contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        """Pass signals on to the ranks, where Python lets this thread hear them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def pass_on(number: int, _: FrameType | None) -> None:
            self._send(number)

        before = {number: signal.signal(number, pass_on) for number in heeded()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _copy(lines: Iterable[str]) -> None:
    """Write what a rank says to our stderr."""
    for line in lines:
        sys.stderr.write(outgoing.lines(line))
