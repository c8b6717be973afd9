"""A trained network as others open it, and the proof that it answers alike.

In: a classifier, its view, its classes. Out: a folder or file of a format, and ``Exported``, which
opens it again and gives logits for uint8 pictures.

- ``graphs``: ``torch.export`` to a program, ONNX, OpenVINO; pictures in, probabilities out.
- ``int8``: weights and activations of an ONNX graph in eight bits.
- ``exported``: opening what was exported, whatever its format.
- ``parity``: do two answers to the same photos agree?
- ``model_card``: the README.md of an export; ``upload`` sends it to the hub.
- ``predict_onnx.txt``: the script beside ``model.onnx``; verification runs its view of photos.

Chosen: normalisation and softmax inside the graph, pictures as Pillow and NumPy hold them (uint8,
height before width before channels): nothing is left to get wrong but the size of the square, which
the script beside it reads from the file. Rejected: resizing inside the graph: its antialiasing
differs from runtime to runtime.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
