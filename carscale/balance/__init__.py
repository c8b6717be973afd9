"""Class imbalance: samplers, class weights and losses.

In: how many samples each class has. Out: how often each sample is drawn, what each class's loss
weighs, a loss.

- ``samplers``: over- and undersampling, weighted samplers, as explicit lists of rows.
- ``selected``: training on again, on selected photos.
- ``weights``: class weights of the loss.
- ``losses``: one term and one weight a sample; ``partial_labels``: the loss of a photo whose make
  alone is known.

To add a loss: one function in ``losses.py``, one line in ``LOSSES``, one word in
``config.Balance.loss``; a sampling or a class weight likewise.

Chosen: a loss returns one term and one weight a sample; the loop divides by the weight of the whole
window, which every rank knows from the stream. Rejected: a mean on each rank: the mean of means is
another loss (2.7081 against 2.7094).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
