"""What the classifier layer saw: the same on any number of ranks, and it gives the logits."""

import jobs
import numpy as np
import pytest
import torch
from ranks import run_ranks

from carscale import config, data, evaluation, loaders, models, tables
from carscale.errors import DataError, ModelError
from carscale.world import open_world

NETS = ["test_vit", "test_efficientnet", "test_convnext"]


def classifier(name, root):
    cfg = config.Model(name=name, pretrained=False)
    view = models.preprocessing(cfg, config.Data(image_px=32))
    torch.manual_seed(0)
    return models.build(cfg, view, data.read_splits(root).classes), view


def val_loader(root, view, world):
    val = data.read_splits(root).val
    return loaders.eval_loader(config.Loader(eval_batch_size=4), val, view, world)


def embed(root, out):
    """Predict val with embeddings."""
    model, view = classifier("test_vit", root)
    with open_world(num_cpu_threads=1) as world:
        loader = loaders.eval_loader(
            config.Loader(eval_batch_size=4), data.read_splits(root).val, view, world
        )
        found = evaluation.predict(model, loader, world, keep_embeddings=True)
        if world.is_main:
            out.write_bytes(tables.embeddings_bytes(found))


@pytest.mark.parametrize("name", NETS)
def test_the_classifier_layer_of_embeddings_gives_the_probabilities(tiny, name):
    model, view = classifier(name, tiny)
    with open_world(num_cpu_threads=1) as world:
        loader = loaders.eval_loader(
            config.Loader(eval_batch_size=4), data.read_splits(tiny).val, view, world
        )
        found = evaluation.predict(model, loader, world, keep_embeddings=True, keep_probs=True)
        plain = evaluation.predict(model, loader, world, keep_probs=True)
    assert np.array_equal(found.probs_NK, plain.probs_NK)
    assert found.embeddings_ND.dtype == np.float16
    head = model.net.get_classifier()
    logits = head(torch.from_numpy(found.embeddings_ND.astype(np.float32)))
    wanted = logits.softmax(dim=-1).detach().numpy()
    assert np.abs(wanted - found.probs_NK).max() < 5e-3  # half precision


def test_one_and_three_ranks_write_the_same_embeddings(tiny, tmp_path):
    for size in (1, 3):
        run_ranks(embed, tiny, tmp_path / f"{size}.parquet", world_size=size)
    one, three = ((tmp_path / f"{size}.parquet").read_bytes() for size in (1, 3))
    assert one == three
    ids_N, embeddings_ND, about = tables.read_embeddings(tmp_path / "1.parquet")
    assert ids_N.tolist() == data.read_splits(tiny).val.ids_N.tolist()
    assert embeddings_ND.ndim == 2
    assert about["split"] == "val"


def test_a_table_without_embeddings_is_named(tiny, tmp_path):
    jobs.train(tiny, tmp_path / "run", ("train.max_steps=2",))
    with pytest.raises(DataError, match="holds no embeddings"):
        tables.read_embeddings(tmp_path / "run" / "predictions" / "val.parquet")
    with pytest.raises(DataError, match="no such file"):
        tables.read_embeddings(tmp_path / "none.parquet")


def test_grad_cam_lights_up_what_decides(tiny):
    """A network that sums what is bright on the left, or on the right."""

    class Sides(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = torch.nn.Conv2d(3, 2, 1, bias=False)
            self.maps.weight.data = torch.ones(2, 3, 1, 1)

        def forward(self, images_BCHW):
            maps_B2HW = self.maps(images_BCHW)
            half = maps_B2HW.shape[-1] // 2
            left = maps_B2HW[:, 0, :, :half].mean(dim=(1, 2))
            right = maps_B2HW[:, 1, :, half:].mean(dim=(1, 2))
            return torch.stack([left, right], dim=1)

    model = torch.nn.Module()
    model.net = Sides()
    model.forward = lambda images: model.net(images.float() / 255)
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    images[:, :, 4:8, 2:6] = 255
    heat_BHW = evaluation.grad_cam(model, images, torch.tensor([0, 1]))
    assert heat_BHW.shape == (2, 16, 16)
    assert heat_BHW[0, 5, 3] == 1
    assert heat_BHW[0, 12, 12] == 0


def test_embeddings_beyond_half_precision_are_refused(tiny):
    model, view = classifier("test_efficientnet", tiny)
    head = model.net.get_classifier()
    head.register_forward_pre_hook(lambda _, given: (given[0] * 0 + 1e6,))
    with open_world(num_cpu_threads=1) as world:
        loader = val_loader(tiny, view, world)
        with pytest.raises(ModelError, match="half precision can't keep"):
            evaluation.predict(model, loader, world, keep_embeddings=True)


def test_grad_cam_of_a_convolutional_network_is_in_range(tiny):
    images = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    model, _ = classifier("test_efficientnet", tiny)
    heat_BHW = evaluation.grad_cam(model, images, torch.tensor([0, 1]))
    assert heat_BHW.min() >= 0
    assert ((heat_BHW.max(axis=(1, 2)) == 1) | (heat_BHW.max(axis=(1, 2)) == 0)).all()


def test_grad_cam_of_tokens_is_refused(tiny):
    model, _ = classifier("test_vit", tiny)
    images = torch.zeros((1, 3, 32, 32), dtype=torch.uint8)
    with pytest.raises(ModelError, match="has no feature maps"):
        evaluation.grad_cam(model, images, torch.tensor([0]))


def test_a_network_without_maps_says_so(tiny):
    flat = torch.nn.Module()
    flat.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    flat.forward = lambda images: flat.net(images.float())
    with pytest.raises(ModelError, match="has no feature maps"):
        evaluation.grad_cam(flat, torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.tensor([0]))
