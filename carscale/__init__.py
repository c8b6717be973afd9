"""carscale: train car make/model classifiers, find out why they err, and prove what helps.

The rooms are modules: ``config data augment balance models loaders train evaluate report``.
Importing one loads no torch; the names inside resolve when they are first used.
"""

__version__ = "0.1.0"
