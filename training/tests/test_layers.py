"""Layers and functions as scripts use them: sharing, defaults, cloning, names, mistakes."""

import numpy as np
import pytest

import cntk as C

RNG = np.random.default_rng(1)


def test_a_layer_called_twice_shares_its_parameters() -> None:
    """Both calls compute with one W, and changing it changes both."""
    layer = C.layers.Dense(2)
    a, b = C.input_variable(3), C.input_variable(3)
    one, two = layer(a), layer(b)
    assert one.parameters == two.parameters
    one.W.value = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(two.eval([[1, 2, 3]]), [[6, 6]])


def test_parameters_are_listed_from_the_last_layer() -> None:
    """`parameters` begins with the output layer's W and b."""
    model = C.layers.Sequential([C.layers.Dense(4), C.layers.Dense(2)])(C.input_variable(3))
    assert [p.shape for p in model.parameters] == [(4, 2), (2,), (3, 4), (4,)]


def test_defaults_hold_inside_their_scope_only() -> None:
    """default_options holds for layers made inside; explicit arguments win."""
    x = C.input_variable(3)
    with C.layers.default_options(init=1.0, bias=False, bogus=1):
        inner = C.layers.Dense(2)(x)
        explicit = C.layers.Dense(2, init=2.0)(x)
    np.testing.assert_array_equal(inner.eval([[1, 2, 3]]), [[6, 6]])
    np.testing.assert_array_equal(explicit.eval([[1, 2, 3]]), [[12, 12]])
    assert len(inner.parameters) == 1
    assert len(C.layers.Dense(2)(x).parameters) == 2


def test_defaults_can_be_for_one_kind_of_layer() -> None:
    """default_options_for leaves other layers alone."""
    with C.default_options_for(C.layers.Dense, init=1.0):
        layer = C.layers.Dense(1)(C.input_variable(2))
        pooled = C.layers.MaxPooling((2,))(C.input_variable((1, 4)))
    np.testing.assert_array_equal(layer.eval([[1, 2]]), [[3]])
    assert pooled.shape == (1, 3)


def test_for_makes_a_layer_for_each_element() -> None:
    """For calls its constructor with the element, or with nothing."""
    x = C.input_variable(3)
    counted = C.layers.For(range(2), lambda i: C.layers.Dense(i + 2))(x)
    plain = C.layers.For([1, 2, 3], lambda: C.layers.Dense(2))(x)
    assert [p.shape for p in counted.parameters] == [(2, 3), (3,), (3, 2), (2,)]
    assert len(plain.parameters) == 6


def test_a_python_function_becomes_a_function() -> None:
    """C.Function makes a function of it, with arguments by position or name."""

    @C.Function
    def scaled(x: C.Variable, factor: C.Variable) -> C.Function:
        return x * factor

    a, b = C.input_variable(2), C.input_variable(2)
    values = {a: np.array([[1, 2]], np.float32), b: np.array([[3, 4]], np.float32)}
    np.testing.assert_array_equal(scaled(a, b).eval(values), [[3, 8]])
    np.testing.assert_array_equal(scaled(a, factor=b).eval(values), [[3, 8]])


def test_clone_methods() -> None:
    """Share keeps the parameters, clone copies them, freeze makes them constants."""
    x = C.input_variable(3)
    model = C.layers.Dense(2)(x)
    assert model.clone(C.CloneMethod.share).parameters == model.parameters
    copied = model.clone("clone")
    assert copied.parameters != model.parameters
    np.testing.assert_array_equal(copied.W.value, model.W.value)
    frozen = model.clone("freeze", {x: C.input_variable(3, name="other")})
    assert frozen.parameters == ()
    assert [v.name for v in frozen.arguments] == ["other"]


def test_placeholders_are_replaced_in_place() -> None:
    """replace_placeholders puts an input into an open function."""
    place = C.placeholder()
    model = C.relu(place) * 2.0
    model.replace_placeholders({place: C.input_variable(2)})
    np.testing.assert_array_equal(model.eval([[-1, 3]]), [[0, 6]])


def test_parts_are_found_by_name() -> None:
    """find_by_name finds layers; a part can be cut off and used alone."""
    x = C.input_variable(3)
    layers = [C.layers.Dense(4, name="first"), C.layers.Dense(2, name="last")]
    model = C.layers.Sequential(layers)(x)
    first = model.find_by_name("first")
    assert first.shape == (4,)
    assert model.find_by_name("none") is None
    assert C.combine([first]).eval(np.ones((2, 3), np.float32)).shape == (2, 4)


def test_batch_normalization_learns_its_statistics() -> None:
    """The first minibatch sets them, later ones move them by 1 - exp(-n / tc)."""
    x = C.input_variable(1)
    model = C.layers.BatchNormalization(normalization_time_constant=10)(x)
    trainer = C.Trainer(model, C.reduce_sum(model), C.sgd(model.parameters, 0.1))
    batches = [np.array([[1], [2], [6]], np.float32), np.array([[0], [4], [8]], np.float32)]
    for batch in batches:
        trainer.train_minibatch({x: batch})
    statistics = {c.name: c.value for c in model.constants}
    step = 1 - np.exp(-3 / 10)
    mean, variance = 3 + step * (4 - 3), 7 + step * (16 - 7)
    np.testing.assert_allclose(statistics["aggregate_mean"], [mean], rtol=1e-6)
    np.testing.assert_allclose(statistics["aggregate_variance"], [variance], rtol=1e-6)
    assert statistics["aggregate_count"] == 6


def test_gradients_are_sums_over_the_minibatch() -> None:
    """Grad gives d(sum of outputs) for parameters and inputs."""
    x = C.input_variable(2, needs_gradient=True)
    weight = C.parameter((2, 1), init=[[2.0], [3.0]])
    model = C.times(x, weight)
    values = {x: np.array([[1, 2], [3, 4]], np.float32)}
    np.testing.assert_array_equal(model.grad(values, [weight]), [[4], [6]])
    np.testing.assert_array_equal(model.grad(values), [[2, 3], [2, 3]])


def test_pooling_follows_a_relu_with_the_same_result_and_gradient() -> None:
    """ReLU and max pooling, which run in the other order, have the plain order's gradients."""
    x = C.input_variable((2, 6, 6), needs_gradient=True)
    values = RNG.normal(size=(3, 2, 6, 6)).astype(np.float32)
    fused = C.layers.MaxPooling((3, 3), 2)(C.relu(x))
    rectified = C.relu(x)
    apart = C.combine([C.layers.MaxPooling((3, 3), 2)(rectified), rectified * 0.0])
    np.testing.assert_array_equal(fused.eval(values), apart.eval(values)[apart.outputs[0]])
    np.testing.assert_array_equal(fused.grad(values), apart.grad(values))
    np.testing.assert_array_equal(C.stop_gradient(fused).grad(values), np.zeros_like(values))


def test_pooling_comes_before_bias_and_relu_with_the_same_result() -> None:
    """A convolution with bias, ReLU and max pooling computes what its parts compute one by one."""
    x = C.input_variable((2, 7, 7))
    convolution = C.layers.Convolution2D((3, 3), 4, activation=C.relu, pad=True)(x)
    convolution.b.value = RNG.normal(size=(4, 1, 1)).astype(np.float32)
    pooling = C.layers.MaxPooling((3, 3), 2, pad=True)
    values = RNG.normal(size=(3, 2, 7, 7)).astype(np.float32)
    cells = C.input_variable((4, 7, 7))
    expected = pooling(cells).eval(convolution.eval(values))
    np.testing.assert_array_equal(pooling(convolution).eval(values), expected)


def test_inputs_of_the_wrong_shape_are_refused_in_cntks_words() -> None:
    """The message names the given shape, the variable and its shape."""
    with pytest.raises(
        ValueError, match=r"'\[5 x 3\]' do not match the Variable 'Input\('f', \[#\], \[4\]\)'"
    ):
        C.relu(C.input_variable(4, name="f")).eval(np.ones((5, 3), np.float32))


def test_integers_are_converted_with_a_warning() -> None:
    """Arrays of another type than the input's work and warn."""
    with pytest.warns(UserWarning, match="expects 'float32'"):
        C.relu(C.input_variable(2)).eval(np.array([[1, -1]]))


def test_one_sample_needs_no_batch_axis() -> None:
    """An array of the variable's own shape is a minibatch of one."""
    np.testing.assert_array_equal(
        C.relu(C.input_variable(2)).eval(np.array([1, -1], np.float32)), [[1, 0]]
    )


def test_types_must_agree() -> None:
    """float64 parameters do not go with float32 inputs."""
    with pytest.raises(
        ValueError,
        match=r"'Times' passed operands .* with different DataTypes 'Double' and 'Float'",
    ):
        C.times(C.input_variable(3), C.parameter(init=np.eye(3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: C.times(C.input_variable(3), C.parameter((4, 2))),
            "The 1 leading dimensions",
        ),
        (lambda: C.input_variable(3) + C.input_variable(4), "Binary elementwise operation Plus"),
        (
            lambda: C.layers.Convolution2D((9, 9), 2)(C.input_variable((1, 5, 5))),
            "requires that kernel dim 9 <= input dim 5",
        ),
        (lambda: C.reshape(C.input_variable(6), (4,)), "Number of elements must be the same"),
        (lambda: C.input_variable((2, 3))[0, 5], "Slice operation index range"),
        (lambda: C.dropout(C.input_variable(2), 1.0), "must be in the interval"),
        (lambda: C.layers.Dropout(), "either dropout_rate or keep_prob"),
    ],
)
def test_what_does_not_fit_is_refused(make: object, message: str) -> None:
    """Wrong shapes and arguments are named as in CNTK when the graph is built, before it runs."""
    with pytest.raises((ValueError, RuntimeError), match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    "make",
    [
        lambda: C.input_variable(3, is_sparse=True),
        lambda: C.layers.Convolution((3, 3), 2, sharing=False),
        lambda: C.convolution(C.parameter((2, 1, 3)), C.input_variable((1, 5)), sequential=True),
    ],
)
def test_what_is_not_provided_says_so(make: object) -> None:
    """Arguments that CNTK has and this package lacks raise NotImplementedError with their name."""
    with pytest.raises(NotImplementedError, match="is not provided by this package yet"):
        make()  # type: ignore[operator]
