"""The way back: from what is known of a run's mistakes to another run.

In: embeddings, weights and predictions of runs. Out: new weights, and how they were chosen.

- ``heads``: another classifier layer on embeddings that stay; ``rebalance``: the ways, by name.
- ``soup``: weights averaged.
- ``select``: train samples that resemble mistakes.
- ``choose``: choosing on val, and what the choice is worth on photos that did not choose.

To add a way to rebalance: a function in ``heads``, a line in ``METHODS``, a word in
``config.RebalanceMethod``.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
