"""Error analysis: from predictions to named causes of mistakes. Tables in, tables out; no torch.

In: ``Evidence`` (predictions of a split, the class list and, as far as they exist, quality
attributes, embeddings, near duplicates, out-of-sample predictions of train, training dynamics).
Out: ``Analysis``. Nothing here reads a photo or runs a model.

To add an error group: one ``_Rule`` in ``groups.py``, at its place in the order that decides
on a primary cause.

Chosen: a mistake may be in several groups; its primary cause is decided by a fixed order: label,
photo, classes. Rejected: a learned attribution. Why: a person can check an order.
Chosen: the expected number of label errors comes from a mixture of the model's probabilities and
blind labels. Rejected: the off-diagonal of the confident joint. Why: that counts a weak model's own
confusions as label errors.
Chosen: p-values are corrected (Holm) over all tests made together. Rejected: the worst few of many
slices, uncorrected. Why: among 500 slices some are bad by chance.
Chosen: near duplicates with another label have a list of their own, as pairs. Rejected: putting
them first in the label review. Why: they push out swapped labels, and one of each pair is right.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
