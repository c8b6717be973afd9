r"""Every error that carscale raises on purpose, one tree.

    CarscaleError
    ├── ConfigError        what a user typed: a key, a value, a file of settings
    ├── DataError          what lies on disk: photos, splits, a lock that does not match
    │   ├── QuestionError  two readings are possible; each answer is an option
    │   └── UnsafePathError  a link, a device, a path out of its folder, a file too large
    ├── RunError           a run folder: in use, of other settings, without a checkpoint
    ├── ModelError         a model or weights that can't be had or do not fit
    │   ├── NotFiniteError predictions that are no numbers
    │   └── VerificationError  an exported model that answers otherwise
    ├── LaunchError        processes that do not see each other
    ├── LostRankError      a process that ended, fell silent or never came
    ├── DiskError          a disk that is full, read-only or failing
    ├── LoaderError        a photo that can't be read while training
    ├── TrainingError      a loss that is not finite
    ├── OutOfMemoryError   a batch that does not fit, in training or evaluation
    └── MissingExtraError  an optional package that is not installed

A message says where, what came, what was wanted; each further line is what to type next. A line
break in a name that a message repeats shows as ``\n``: it can't begin a line of its own. The
command line prints ``ConfigError: ...`` without a traceback and exits with ``exit_code``: 2 for a
wrong input, 1 for a failure.

``Stopped`` stands beside the tree, as ``KeyboardInterrupt`` does: a signal asked for it.
"""

import signal
from collections.abc import Mapping, Sequence


class CarscaleError(Exception):
    """Say a fact about the user's input or files, and what to do next.

    Args:
        fact: ``<file or key>: <what is wrong, with numbers>``.
        *next_steps: Lines printed indented below, commands where there are any.

    Attributes:
        lines: The fact and the next steps, each on one line.

    Example:
        >>> print(CarscaleError("a.yaml: no such file", "list them with: ls"))
        a.yaml: no such file
          list them with: ls
    """

    exit_code = 2

    def __init__(self, fact: str, *next_steps: str) -> None:
        self.lines = tuple(line.replace("\n", r"\n") for line in (fact, *next_steps))
        super().__init__("\n  ".join(self.lines))

    def __reduce__(self) -> tuple[type["CarscaleError"], tuple[str, ...]]:
        """Pickle as text, so that an error crosses processes."""
        return type(self), self.lines


class ConfigError(CarscaleError):
    """A key, value or settings file that carscale can't use."""


class DataError(CarscaleError):
    """Photos or a frozen data set that are not what they should be."""


class QuestionError(DataError):
    """Input that can be read in more than one way; nothing is written before someone says which.

    Args:
        fact: As for any error.
        *next_steps: The same.
        answers: What is meant, and the option that says so.
        notes: What else a person should know of how the input was read.

    Example:
        >>> print(QuestionError("cars: is split already", answers={"keep": "--keep-splits"}))
        cars: is split already
          keep: --keep-splits
    """

    def __init__(
        self,
        fact: str,
        *next_steps: str,
        answers: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.fact, self.next_steps = fact, next_steps
        self.answers, self.notes = dict(answers or {}), tuple(notes)
        steps = (f"{meaning}: {option}" for meaning, option in self.answers.items())
        super().__init__(fact, *next_steps, *steps)


class UnsafePathError(DataError, OSError):
    """A path in a folder that leads out of it, or to what is no file of a sensible size.

    It is an ``OSError`` too: whoever expects a file that can't be read gets one.
    """


class RunError(CarscaleError):
    """A run folder that can't be used as asked."""


class ModelError(CarscaleError):
    """A model or weights that can't be had or do not fit."""


TRAIN_SLOWER = "train it again, slower, under another name: run.name=NAME optim.lr=RATE"


class NotFiniteError(ModelError):
    """A model whose predictions are NaN or infinite."""

    exit_code = 1


class VerificationError(ModelError):
    """An exported model whose answers are not those of the run."""

    exit_code = 1


class LaunchError(CarscaleError):
    """Processes that were not started in a way that lets them train together."""


class LostRankError(CarscaleError):
    """Another process of the run that ended, fell silent or never came."""

    exit_code = 1


class DiskError(CarscaleError):
    """A disk that can't take what is to be written."""

    exit_code = 1


class LoaderError(CarscaleError):
    """A photo that can't be read while a run needs it."""

    exit_code = 1


class TrainingError(CarscaleError):
    """A run that can't go on."""

    exit_code = 1


class OutOfMemoryError(CarscaleError):
    """A batch that does not fit in the memory of its device."""

    exit_code = 1


class MissingExtraError(CarscaleError):
    """An optional package that a setting needs."""


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end.

    Args:
        number: Of the signal.
        *lines: What is left to say: where it stopped and how to go on.

    Example:
        >>> Stopped(signal.SIGINT).exit_code, Stopped(signal.SIGUSR1).exit_code
        (130, 143)
    """

    def __init__(self, number: int, *lines: str) -> None:
        super().__init__("\n  ".join(lines))
        self.number = number

    @property
    def exit_code(self) -> int:
        """Return what a shell says of it; Slurm's warning, SIGUSR1, ends as a SIGTERM does."""
        return 128 + (signal.SIGTERM if self.number == signal.SIGUSR1 else self.number)
