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
"""

import lazy_loader as lazy

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
