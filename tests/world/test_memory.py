"""Allocations that fail, for real and as libraries word them."""

import jobs
import numpy as np
import pytest
import torch

from carscale.errors import OutOfMemoryError
from carscale.world import name_out_of_memory, open_world, smaller_batches


@pytest.fixture(scope="module")
def world():
    with open_world(num_cpu_threads=1) as world:
        yield world


def fail(world, block) -> OutOfMemoryError:
    with (
        pytest.raises(OutOfMemoryError) as caught,
        name_out_of_memory(world, "64 photos at once", "take 32"),
    ):
        block()
    return caught.value


def raise_(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("name", jobs.OUT_OF_MEMORY)
def test_what_libraries_raise_is_named(world, name):
    error = jobs.OUT_OF_MEMORY[name]
    said = fail(world, lambda: raise_(error))
    assert str(said) == "out of memory on cpu with 64 photos at once\n  take 32"
    assert said.exit_code == 1
    assert said.__cause__ is error


@pytest.mark.parametrize("allocate", [torch.empty, np.empty], ids=["torch", "numpy"])
def test_a_real_allocation_that_fails_is_named(world, allocate):
    said = fail(world, lambda: allocate(2**55))
    assert "64 photos at once" in str(said)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory")])
def test_other_errors_stay_what_they_are(world, error):
    with pytest.raises(type(error)) as caught, name_out_of_memory(world, "64 photos"):
        raise error
    assert caught.value is error


def test_half_of_a_batch_is_proposed_down_to_one():
    assert smaller_batches(3).endswith("loader.eval_batch_size=1")
    assert "ACCELERATE_USE_CPU=1" in smaller_batches(1)
