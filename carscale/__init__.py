"""carscale: train car make/model classifiers, find out why they err, and prove what helps.

    import carscale

    carscale.freeze("photos", "data/cars")
    run = carscale.train("effnet_focal", {"data.root": "data/cars"})
    metrics = carscale.evaluate(run, split="test")
    errors = carscale.analyse(run, split="val")
    page = carscale.write_report(run)

Each function names the command that calls it; all raise ``CarscaleError`` and print nothing but
progress on stderr. The rooms are modules (``carscale.config``, ``carscale.data`` ...). Importing
one loads no torch; the names inside are loaded when they are first used.

``python -m carscale`` puts the working folder before all else on the module path, so that an
``accelerate`` lying there would be run; it is taken off here, before any package is imported.
"""

import os
import sys

if (
    sys.argv[:1] == ["-m"]  # as long as Python looks for the module to run
    and not sys.flags.safe_path
    and sys.path[0] == os.getcwd()  # noqa: PTH109 - pathlib could lie there
    and any(word.removeprefix("-m").split(".")[0] == "carscale" for word in sys.orig_argv)
):
    folder = sys.path.pop(0)
    if os.path.dirname(__path__[0]) == folder:  # noqa: PTH120
        sys.path.append(folder)  # a clone: at the end it hides nothing
    del folder

import lazy_loader as lazy

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
