"""Learning rate, averaging and epoch ends as functions of the step."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carscale import config
from carscale.training import ema_decay_at, epoch_ends, lr_factor


@given(num=st.integers(1, 500), share=st.floats(0, 0.9))
def test_lr_rises_to_one_and_falls_towards_zero(num, share):
    warm = num * share
    factors = [lr_factor(step, num_steps=num, warmup_steps=warm) for step in range(num)]
    assert all(0 <= f <= 1 for f in factors)
    top = factors.index(max(factors))
    assert factors[:top] == sorted(factors[:top])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert max(factors) > 0.5 or num < 4


def test_warm_up_starts_above_zero_and_ends_at_the_peak():
    factors = [lr_factor(step, num_steps=20, warmup_steps=4) for step in range(4)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_lr_is_the_cosine_of_the_paper_without_warm_up():
    for step in range(10):
        expected = 0.5 * (1 + math.cos(math.pi * step / 10))
        assert lr_factor(step, num_steps=10, warmup_steps=0) == pytest.approx(expected)


@given(
    n=st.integers(1, 300),
    batch=st.integers(2, 64),
    epochs=st.integers(1, 9),
    limit=st.integers(0, 400),
)
def test_epochs_end_when_their_samples_have_been_drawn(n, batch, epochs, limit):
    ends = epoch_ends(n, global_batch_size=batch, num_epochs=epochs, max_steps=limit)
    steps = list(ends)
    assert steps == sorted(steps)
    whole = math.ceil(epochs * n / batch)
    assert steps[-1] == (min(whole, limit) if limit else whole)
    for step, epoch in ends.items():
        if epoch == int(epoch):
            assert step * batch >= epoch * n > (step - 1) * batch - n
    if not limit:
        assert ends[whole] == epochs


def test_average_forgets_its_start():
    decays = [ema_decay_at(step, 0.99) for step in range(2000)]
    assert decays == sorted(decays)
    assert decays[0] == 0.1
    assert decays[-1] == 0.99


@given(
    n=st.integers(1, 500),
    batch=st.integers(2, 64),
    epochs=st.integers(1, 9),
    most=st.integers(0, 60),
)
def test_a_recipe_counts_the_steps_that_the_loop_takes(n, batch, epochs, most):
    cfg = config.Recipe(
        loader=config.Loader(global_batch_size=batch),
        train=config.Train(num_epochs=epochs, max_steps=most),
    )
    ends = epoch_ends(n, global_batch_size=batch, num_epochs=epochs, max_steps=most)
    assert cfg.num_steps(n) == max(ends)
