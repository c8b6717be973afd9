"""Image to image: a tiny pipeline of random weights, templates, models that are none."""

import json

import numpy as np
import pytest

from carscale.errors import ConfigError, ModelError
from carscale.synth import Generator, check_template
from carscale.synth.generate import prompt_of, weights_hash

CAR = "Audi A4 Sedan 2012"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A Stable Diffusion of a few thousand random weights, as a user's folder holds one."""
    diffusers = pytest.importorskip("diffusers")
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("pipeline")
    letters = sorted("abcdefghijklmnopqrstuvwxyz0123456789")
    words = [*letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    blocks = {"block_out_channels": (8, 16), "norm_num_groups": 4}
    made = diffusers.StableDiffusionImg2ImgPipeline(
        unet=diffusers.UNet2DConditionModel(
            **blocks, layers_per_block=1, sample_size=8, cross_attention_dim=16,
            attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        vae=diffusers.AutoencoderKL(
            **blocks, down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        text_encoder=transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                hidden_size=16, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1,
                vocab_size=len(words), max_position_embeddings=77,
            )
        ),
        tokenizer=transformers.CLIPTokenizer(
            str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
        ),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(folder / "model")
    return folder / "model"


def test_the_same_seed_gives_the_same_photo(pipeline):
    generator = Generator(str(pipeline), steps=2, longer_px=64).open()
    photo = np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    first = generator.change(photo, CAR, 1)
    assert first.shape == (40, 64, 3)
    assert first.dtype == np.uint8
    assert (generator.change(photo, CAR, 1) == first).all()
    assert (generator.change(photo, CAR, 2) != first).any()
    told = generator.about(CAR)
    assert told["prompt"] == f"a photo of a {CAR}"
    assert told["weights"].startswith("sha256:")


def test_a_folder_that_is_no_pipeline(tmp_path):
    pytest.importorskip("diffusers")
    (tmp_path / "weights.bin").write_bytes(b"none")
    with pytest.raises(ModelError, match="no image-to-image pipeline of diffusers"):
        Generator(str(tmp_path)).open()


def test_prompts_say_what_a_class_name_tells():
    assert prompt_of("a {year} {make} {model}, {body}", CAR) == "a 2012 Audi A4, Sedan"
    assert prompt_of("a {year} {name}", "Trabant") == "a Trabant"


@pytest.mark.parametrize(
    "template", ["a {colour} {make}", "a {0}", "a {", "{year:d}", "{name!z}", "{make.x}"]
)
def test_a_template_with_an_unknown_field(template):
    with pytest.raises(ConfigError, match="--prompt"):
        check_template(template)


@pytest.mark.parametrize("strength", [0, 1.5, float("nan")])
def test_a_strength_out_of_range(strength):
    with pytest.raises(ConfigError, match="--strength"):
        Generator("none", strength=strength).open()


def test_the_least_strength_that_is_named_is_taken():
    with pytest.raises(ConfigError, match=r"must be from 0\.034 to 1"):
        Generator("none", strength=0.03).open()
    assert int(0.034 * Generator("none").steps) >= 1


def test_the_commit_of_weights_of_the_hub_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    branch = tmp_path / "models--owner--lora" / "refs" / "main"
    branch.parent.mkdir(parents=True)
    branch.write_text("abc123")
    assert weights_hash("owner/lora") == "id:owner/lora@abc123"


def test_other_weights_have_another_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    first = weights_hash(str(tmp_path))
    (tmp_path / "a").write_bytes(b"2")
    assert weights_hash(str(tmp_path)) != first
    assert weights_hash("owner/name-that-is-not-here") == "id:owner/name-that-is-not-here@"
