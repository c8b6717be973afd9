"""A batch in parts: the same logits and embeddings, in order, on any number of threads."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import timm
import torch

from carscale import evaluation
from carscale.evaluation import in_parts as module
from carscale.models.factory import Classifier
from carscale.types import View

VIEW = View(image_px=32, fit="pad", interpolation="bicubic", mean=(0.5,) * 3, std=(0.2,) * 3)
WORLD = SimpleNamespace(
    device=torch.device("cpu"), accelerator=SimpleNamespace(autocast=nullcontext)
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Classifier(timm.create_model("test_resnet", num_classes=5), VIEW).eval()


def run(model, images, num_threads, *, flip=False):
    torch.set_num_threads(num_threads)
    try:
        with (
            torch.inference_mode(),
            evaluation.seen_by_classifier(model, wanted=True) as seen,
            module.in_parts(model, WORLD, seen) as logits,
        ):
            log_probs = evaluation.log_probs(logits, images, flip=flip)
            assert torch.get_num_threads() == num_threads
        return log_probs, torch.cat(seen.rows)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("flip", [False, True])
def test_parts_are_the_whole_in_order_on_any_number_of_threads(model, monkeypatch, flip):
    monkeypatch.setattr(module, "PHOTOS_AT_ONCE", 4)
    images = torch.randint(0, 256, (11, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode(), evaluation.seen_by_classifier(model, wanted=True) as whole:
        wanted = evaluation.log_probs(model, images, flip=flip)
    alone, seen_alone = run(model, images, 1, flip=flip)
    torch.testing.assert_close(alone, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen_alone, torch.cat(whole.rows), atol=1e-3, rtol=1e-3)
    for _ in range(3):
        together, seen = run(model, images, 3, flip=flip)
        assert torch.equal(together, alone)
        assert torch.equal(seen, seen_alone)


def test_an_error_of_a_part_comes_out(model):
    model.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError("a part")))
    with pytest.raises(MemoryError, match="a part"):
        run(model, torch.zeros((40, 3, 32, 32), dtype=torch.uint8), 2)
    assert torch.get_num_threads() == 1
