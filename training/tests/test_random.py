"""Random numbers: the generator, the seeds, the initialisers, dropout masks."""

from pathlib import Path

import numpy as np
import pytest

import cntk as C
from cntk._random import MersenneTwister64


def test_the_ten_thousandth_number_is_the_standards() -> None:
    """mt19937_64 with its default seed has the 10000th output that the C++ standard demands."""
    assert int(MersenneTwister64(5489).integers(10000)[-1]) == 9981545732273789042


def test_numbers_do_not_depend_on_how_many_are_drawn_at_once() -> None:
    """Drawing in pieces gives the same sequence as drawing all at once."""
    pieces = MersenneTwister64(3)
    drawn = np.concatenate([pieces.integers(n) for n in (1, 311, 312, 313, 63)])
    np.testing.assert_array_equal(drawn, MersenneTwister64(3).integers(1000))


def test_each_maker_takes_the_next_seed() -> None:
    """Layers with weights and dropouts take one seed each; loading, saving and cloning none."""
    x = C.input_variable(3)
    C.layers.BatchNormalization()(x)
    first, second = C.layers.Dense(2)(x), C.layers.Dense(2)(x)
    dropped = C.layers.Dropout(0.5)(second)
    dropped.clone("clone")
    C.sgd(second.parameters, 0.1)
    fourth = C.layers.Dense(2)(x)
    for seed, layer in ((0, first), (1, second), (4, fourth)):
        alike = C.layers.Dense(2, init=C.glorot_uniform(seed=seed))(x)
        np.testing.assert_array_equal(layer.W.value, alike.W.value)


def test_a_fixed_seed_makes_layers_equal() -> None:
    """After set_fixed_random_seed(n) everything uses seed n."""
    C.cntk_py.set_fixed_random_seed(7)
    x = C.input_variable(3)
    one, two = C.layers.Dense(2)(x), C.layers.Dense(2)(x)
    np.testing.assert_array_equal(one.W.value, two.W.value)


@pytest.mark.parametrize(
    ("init", "limit"),
    [
        (C.glorot_uniform(seed=1), np.sqrt(6 / (6 + 4))),
        (C.he_uniform(seed=1), np.sqrt(6 / 6)),
        (C.xavier(seed=1), np.sqrt(3 / 6)),
        (C.uniform(0.25, seed=1), 0.25),
    ],
)
def test_uniform_initialisers_have_cntks_limits(init: object, limit: float) -> None:
    """Values are low + (high - low) * u with the limits that fan-in 6 and fan-out 4 give."""
    value = C.parameter((6, 4), init=init).value  # type: ignore[arg-type]
    u = MersenneTwister64(1).uniform(24).reshape(6, 4)
    np.testing.assert_allclose(value, (2 * u - 1) * limit, atol=1e-7)


def test_dropout_follows_the_generator_from_minibatch_to_minibatch() -> None:
    """A value is kept where u > rate, one u for each in C order, and scaled by 1 / (1 - rate)."""
    x = C.input_variable((2, 3), needs_gradient=True)
    weight = C.parameter((2, 3), init=1.0)
    dropped = C.dropout(x * weight, 0.4, seed=9)
    trainer = C.Trainer(dropped, C.reduce_sum(dropped), C.sgd([weight], 1e-30))
    u = MersenneTwister64(9).uniform(4 * 6 * 2).reshape(2, 4, 2, 3)
    for minibatch in u:
        trainer.train_minibatch({x: np.ones((4, 2, 3), np.float32)})
        expected = (minibatch > 0.4).sum() / 0.6 / 4
        assert trainer.previous_minibatch_loss_average == pytest.approx(expected, rel=1e-6)


def test_dropout_changes_nothing_in_evaluation() -> None:
    """Evaluation and test see all values."""
    x = C.input_variable(4)
    np.testing.assert_array_equal(C.layers.Dropout(0.9)(x).eval([[1, 2, 3, 4]]), [[1, 2, 3, 4]])


def test_weights_are_cntks_bit_for_bit(data: Path) -> None:
    """The network's first weights are those that CNTK wrote straight after construction."""
    import convnet_mnist

    stored = C.load_model(data / "ConvNet_MNIST_init.dnn").parameters
    made = convnet_mnist.network(C, C.input_variable((1, 28, 28))).parameters
    for expected, parameter in zip(stored, made, strict=True):
        np.testing.assert_array_equal(parameter.value, expected.value)
