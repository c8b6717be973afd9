"""Why a model errs: from predictions to named causes. Tables in, tables out; no torch.

In: ``Evidence`` (predictions of a split, the class list and, as far as they exist, quality
attributes, embeddings, near duplicates, out-of-sample predictions of train, training dynamics).
Out: ``Analysis``. Nothing here reads a photo or runs a model.
"""

from carscale.analysis.result import Analysis, Evidence, TrainSide

__all__ = ["Analysis", "Evidence", "TrainSide"]
