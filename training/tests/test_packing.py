"""How sequences and sparse data are fed, packed, mixed and given back."""

from typing import Any

import numpy as np
import pytest
import torch

import cntk as C
from cntk._layout import Layout

LONG = np.arange(6, dtype=np.float32).reshape(3, 2)
SHORT = np.array([[100, 110]], np.float32)


def lists(value: Any) -> list[Any]:
    return [part.tolist() for part in value]


@pytest.fixture
def x() -> C.Variable:
    return C.sequence.input_variable(2, name="x")


def test_a_layout_sorts_by_length_and_keeps_the_order_of_equal_ones() -> None:
    """First steps come first, the longest sequence first; the way back is exact."""
    layout = Layout.of([2, 4, 1, 4])
    assert layout.order.tolist() == [1, 3, 0, 2]
    assert layout.counts == [4, 3, 2, 2]
    assert layout.sequence_of.tolist() == [1, 3, 0, 2, 1, 3, 0, 1, 3, 1, 3]
    assert layout.step_of.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
    everything = torch.arange(11)
    assert torch.equal(everything[layout.to_packed][layout.to_listed], everything)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([LONG, SHORT], [LONG, SHORT]),
        ([SHORT, LONG, SHORT], [SHORT, LONG, SHORT]),
        (np.stack([LONG, LONG]), [LONG, LONG]),
        (LONG, [LONG]),
        (LONG[0], [LONG[:1]]),
        ([LONG[0], LONG[1]], [LONG[:1], LONG[1:2]]),
        ([[[1, 2], [3, 4]], [[5, 6]]], [np.array([[1, 2], [3, 4]]), np.array([[5, 6]])]),
        (C.Value([LONG, SHORT]), [LONG, SHORT]),
        (([LONG, SHORT], [True, True]), [LONG, SHORT]),
    ],
)
def test_sequences_are_fed_in_cntks_forms(x: C.Variable, value: Any, expected: Any) -> None:
    """A list of arrays, one array for all, one for a sequence or a step, lists, a Value."""
    assert lists((x * 2).eval({x: value})) == [(part * 2).tolist() for part in expected]


_OF_A_SEQUENCE = (
    r"Value::Create: The shape '\[3 x 4\]' of sequence #0 is not compatible with the sample shape "
    r"'\[2\]'."
)
_OF_ALL = (
    r"The trailing dimensions of the Value shape '\[3 x 3 x 4\]' do not match the Variable "
    r"'Input\('x', \[#, \*\], \[2\]\)' shape '\[2\]'."
)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([np.zeros((3, 4), np.float32)], ValueError, _OF_A_SEQUENCE),
        (np.zeros((3, 3, 4), np.float32), ValueError, _OF_ALL),
        (
            [np.zeros((0, 2), np.float32), LONG],
            RuntimeError,
            "The first entry of a Value mask must be Valid or SequenceBegin",
        ),
        (([LONG], [False]), NotImplementedError, "Sequences that go on from the minibatch before"),
    ],
)
def test_what_does_not_fit_is_refused_in_cntks_words(
    x: C.Variable, value: Any, error: type[Exception], message: str
) -> None:
    """Wrong shapes and empty sequences are named."""
    with pytest.raises(error, match=message):
        (x * 2).eval({x: value})


def test_sequences_on_one_axis_must_have_the_same_lengths(x: C.Variable) -> None:
    """Two inputs with the default axis and different lengths are refused with CNTK's message."""
    other = C.sequence.input_variable(2, name="other")
    with pytest.raises(ValueError, match="Different minibatch layouts detected"):
        (x + other).eval({x: [LONG, SHORT], other: [LONG, LONG]})


def test_different_axes_do_not_mix(x: C.Variable) -> None:
    """Operands on two axes are refused when the function is made, in CNTK's words."""
    other = C.sequence.input_variable(2, sequence_axis=C.Axis("ax"), name="z")
    message = (
        r"Operation 'Plus': Operand 'Input\('z', \[#, ax\], \[2\]\)' has dynamic axes, that do not "
        r"match the dynamic axes '\[#, \*\]' of the other operands."
    )
    with pytest.raises(RuntimeError, match=message):
        x + other
    values = {x: [LONG, SHORT], other: [LONG * 2, SHORT]}
    same = x + C.reconcile_dynamic_axes(other, x)
    assert lists(same.eval(values)) == [(LONG * 3).tolist(), (SHORT * 2).tolist()]


def test_what_has_no_sequence_axis_is_repeated_in_arithmetic(x: C.Variable) -> None:
    """A sum x + y takes each sequence's y for all its steps, as in CNTK; a splice does not."""
    y = C.input_variable(2, name="y")
    values = {x: [LONG, SHORT], y: np.array([[1, 1], [2, 2]], np.float32)}
    for made in (x + y, y + x):
        assert lists(made.eval(values)) == [(LONG + 1).tolist(), (SHORT + 2).tolist()]
    with pytest.raises(RuntimeError, match="Operation 'Splice': Operand"):
        C.splice(x, y)
    with pytest.raises(RuntimeError, match="Operation 'Minus': Operand"):
        C.squared_error(x, y)


def test_a_delay_needs_a_sequence() -> None:
    """past_value of a value without a sequence axis is refused in CNTK's words."""
    with pytest.raises(RuntimeError, match="with #dynamic axes != 2"):
        C.sequence.past_value(C.input_variable(2))
    with pytest.raises(RuntimeError, match="with #dynamic axes != 2"):
        C.layers.Recurrence(C.layers.LSTM(2))(C.input_variable(2))


def test_a_loop_runs_in_one_direction(x: C.Variable) -> None:
    """Past and future values in one loop are refused in CNTK's words."""
    h = C.layers.ForwardDeclaration()
    made = C.sequence.future_value(h) * x + C.sequence.past_value(h)
    h.resolve_to(made)
    with pytest.raises(RuntimeError, match="multiple different stepping directions"):
        made.eval([LONG])


def test_a_loop_needs_a_delay(x: C.Variable) -> None:
    """What needs itself at the same step is refused."""
    h = C.layers.ForwardDeclaration()
    made = h * 0.5 + x
    h.resolve_to(made)
    with pytest.raises(RuntimeError, match="has no PastValue or FutureValue operation in it"):
        made.eval([LONG])


def test_a_loop_whose_shape_grows_is_refused(x: C.Variable) -> None:
    """A state that is spliced to itself has no shape."""
    h = C.placeholder(2)
    made = C.splice(C.sequence.past_value(h), x)
    with pytest.raises(ValueError, match="change each time around it"):
        made.replace_placeholders({h: made})


def test_a_choice_that_leaves_nothing_is_refused(x: C.Variable) -> None:
    """A sequence without a chosen step is no sequence, as in CNTK."""
    chosen = C.sequence.gather(x, C.greater(C.reduce_sum(x), 1000))
    with pytest.raises(RuntimeError, match="Sequences must be a least one frame long"):
        chosen.eval([LONG, SHORT])


def test_step_functions_must_return_their_states(x: C.Variable) -> None:
    """A recurrence whose step has other outputs than states is refused with CNTK's message."""
    with pytest.raises(TypeError, match="number of state variables inconsistent"):
        C.layers.Recurrence(lambda h, c, v: h + c + v)(x)


def test_a_great_matrix_in_a_loop_has_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summing up a weight's gradient once for all steps gives what each step's own would."""
    x = C.sequence.input_variable(3)
    model = C.layers.Fold(C.layers.LSTM(5))(x)
    draw = np.random.default_rng(0)
    values = [draw.normal(size=(n, 3)).astype(np.float32) for n in (4, 1, 6)]
    one = model.grad(values, wrt=model.parameters)
    monkeypatch.setattr("cntk._loops._LARGE", 1)
    other = model.grad(values, wrt=model.parameters)
    for parameter in model.parameters:
        np.testing.assert_allclose(one[parameter], other[parameter], rtol=1e-5, atol=1e-6)


def test_a_clone_of_a_recurrence_runs_by_itself() -> None:
    """Cloning a loop builds another loop; with copied parameters the first one stays as it is."""
    x = C.sequence.input_variable(2)
    model = C.layers.Recurrence(C.layers.GRU(3))(x)
    copy = model.clone("clone", {x: C.sequence.input_variable(2)})
    before = lists(model.eval([LONG, SHORT]))
    assert lists(copy.eval([LONG, SHORT])) == before
    for parameter in copy.parameters:
        parameter.value = parameter.value * 0
    assert lists(copy.eval([SHORT])) == [[[0.0, 0.0, 0.0]]]
    assert lists(model.eval([LONG, SHORT])) == before


# Sparse data.


def test_one_hot_values_are_cntks() -> None:
    """Sequences, samples, samples of several rows, and what is skipped."""
    skip = C.Value.ONE_HOT_SKIP
    eye = np.eye(6, dtype=np.float32)
    x = C.sequence.input_variable(6, is_sparse=True)
    assert x.is_sparse
    value = C.Value.one_hot([[1, skip, 5], [4]], 6)
    expected = [[eye[1].tolist(), [0.0] * 6, eye[5].tolist()], [eye[4].tolist()]]
    assert lists(C.times(x, eye).eval({x: value})) == expected
    assert value.shape == (2, 3, 6)
    assert value.mask.tolist() == [[2, 1, 1], [2, 0, 0]]
    assert lists(value.as_sequences(x)) == expected
    pairs = C.sequence.input_variable((2, 6), is_sparse=True)
    value = C.Value.one_hot([[1, 5, 3, 2], [4, 1]], (2, 6))
    assert lists(C.times(pairs, eye).eval({pairs: value})) == [
        [eye[[1, 5]].tolist(), eye[[3, 2]].tolist()],
        [eye[[4, 1]].tolist()],
    ]
    plain = C.input_variable(6, is_sparse=True)
    found = C.times(plain, eye).eval({plain: C.Value.one_hot([1, 5, 3, 2], 6)})
    np.testing.assert_array_equal(found, eye[[1, 5, 3, 2]])
    with pytest.raises(ValueError, match="must be of type integer"):
        C.Value.one_hot([[1.5]], 6)


def test_sparse_and_dense_samples_give_the_same() -> None:
    """Losses, products, delays, choices and arithmetic take sparse samples as the dense ones."""
    draw = np.random.default_rng(1)
    values = [(draw.random((n, 7)) < 0.3).astype(np.float32) * 2 for n in (3, 1, 4)]
    dense = C.sequence.input_variable(7)
    sparse = C.sequence.input_variable(7, is_sparse=True)
    weight = C.parameter((7, 2), init=draw.normal(size=(7, 2)).astype(np.float32))
    scores = C.sequence.input_variable(7)

    def functions(x: C.Variable) -> list[C.Function]:
        return [
            C.times(x, weight),
            C.times_transpose(x, C.transpose(weight)),
            C.cross_entropy_with_softmax(scores, x),
            C.classification_error(scores, x),
            C.times(C.sequence.last(x), weight),
            C.times(C.sequence.past_value(x), weight),
            C.sequence.reduce_sum(x * 2 + 1),
            C.alias(x),
        ]

    others = [draw.normal(size=v.shape).astype(np.float32) for v in values]
    for one, two in zip(functions(dense), functions(sparse), strict=True):
        fed: list[Any] = []
        for variable, made in ((dense, one), (sparse, two)):
            made = C.combine([made])
            given = {v: values if v is variable else others for v in made.arguments}
            fed.append(made.eval(given))
        for a, b in zip(*fed, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_scipys_matrices_are_sparse_samples() -> None:
    """What looks like a scipy CSR matrix is one sequence, or one minibatch of samples."""

    class Rows:
        """The parts of scipy's csr_matrix that are used."""

        indptr, indices = np.array([0, 1, 3]), np.array([2, 0, 1])
        data, shape, nnz = np.array([1, 2, 3], np.float32), (2, 4), 3

        def tocsr(self) -> "Rows":
            return self

    expected = [[0, 0, 1, 0], [2, 3, 0, 0]]
    x, s = C.input_variable(4, is_sparse=True), C.sequence.input_variable(4, is_sparse=True)
    np.testing.assert_array_equal((x * 1).eval(Rows()), expected)
    assert lists((s * 1).eval([Rows(), Rows()])) == [expected, expected]


def test_a_wide_vocabulary_needs_no_dense_matrix() -> None:
    """Embedding one-hot vectors of a million words picks rows, forward and backward."""
    words = 10**6
    x = C.sequence.input_variable(words, is_sparse=True)
    embedded = C.layers.Embedding(1, init=1)(x)
    # A thousand of them would take 4 GB if their zeros were filled in.
    value = C.Value.one_hot([[5, words - 1] * 500], words)
    assert np.sum(embedded.eval(value)[0]) == 1000
    assert np.sum(embedded.grad(value, wrt=[embedded.E])) == 1000


def test_momentum_rests_for_words_that_do_not_occur() -> None:
    """As in CNTK an update changes the used rows of an embedding; other velocities do not fade."""
    x = C.input_variable(3, is_sparse=True)
    table = C.parameter((3, 1), init=0)
    loss = C.reduce_sum(C.times(x, table))
    learner = C.momentum_sgd(
        [table],
        C.learning_parameter_schedule_per_sample(1),
        C.momentum_schedule(0.5),
        unit_gain=False,
    )
    trainer = C.Trainer(loss, loss, [learner])
    for word in (0, 1, 0):
        trainer.train_minibatch({x: C.Value.one_hot([word], 3)})
    np.testing.assert_allclose(table.value.ravel(), [-2.5, -1, 0])


# Axes and texts.


def test_axes_are_cntks() -> None:
    """Names, kinds, equality and unique names."""
    first, second = (C.Axis.new_unique_dynamic_axis("packing") for _ in range(2))
    assert (repr(first), repr(second)) == ("Axis('packing')", "Axis('packing1')")
    assert C.Axis("packing") == first != second
    assert first.is_sequence_axis
    assert first.is_ordered
    assert not C.Axis.default_batch_axis().is_ordered
    assert C.Axis(-1).static_axis_index() == -1
    with pytest.raises(ValueError, match="Cannot query the static axis index"):
        first.static_axis_index()
    assert repr(
        C.input_variable(2, dynamic_axes=[C.Axis.default_batch_axis(), first], name="v")
    ) == ("Input('v', [#, packing], [2])")
    both = C.Axis.default_input_variable_dynamic_axes()
    assert repr(C.input_variable(2, dynamic_axes=both, name="v")) == "Input('v', [#, *], [2])"
    assert repr(C.input_variable(2, dynamic_axes=[], name="v")) == "Input('v', [], [2])"


def test_a_reduction_over_the_sequence_axis_is_refused(x: C.Variable) -> None:
    """reduce_sum along the sequence axis is CNTK's error; sequence.reduce_sum is the way."""
    with pytest.raises(ValueError, match="can not contain sequence axis"):
        C.reduce_sum(x, axis=C.Axis.default_dynamic_axis())
