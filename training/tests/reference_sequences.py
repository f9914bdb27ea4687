"""Functions of sequences, built through the `cntk` API alone.

`python reference_sequences.py FILE.npz` under real CNTK 2.7 (Python 3.6) made
`data/sequences_cntk27.npz`: for each function its `.dnn` file, its outputs, the gradients of its
parameters and of its input, and its text. The tests build the same functions here and compare.
"""

import os
import sys
import tempfile
from typing import Any, Callable, Dict, List

import numpy as np

LENGTHS = (2, 4, 1, 3)


def inputs() -> List[Any]:
    """Return four sequences of steps of shape (3,)."""
    draw = np.random.RandomState(3)
    return [(draw.randint(-40, 41, (n, 3)) / 16.0).astype(np.float32) for n in LENGTHS]


def functions(C: Any, x: Any) -> Dict[str, Callable[[], Any]]:
    """Return what makes each function; in this order their parameters take the seeds 0, 1, ..."""
    made: Dict[str, Callable[[], Any]] = {}
    made.update(operations(C, x))
    made.update(recurrences(C, x))
    made.update(loops(C, x))
    return made


def operations(C: Any, x: Any) -> Dict[str, Callable[[], Any]]:
    S = C.sequence

    def positive() -> Any:
        return C.greater(C.reduce_sum(x, axis=0), -10.0)

    return {
        "past": lambda: S.past_value(x),
        "past_2": lambda: S.past_value(x, time_step=2, initial_state=7),
        "past_from_last": lambda: S.past_value(x, initial_state=S.last(x)),
        "past_from_sequence": lambda: S.past_value(x, initial_state=C.tanh(x), time_step=2),
        "future": lambda: S.future_value(x, initial_state=C.constant([1, 2, 3])),
        "future_from_sequence": lambda: S.future_value(x, initial_state=C.tanh(x), time_step=2),
        "first": lambda: S.first(x),
        "last": lambda: S.last(x),
        "slice_from_begin": lambda: S.slice(x, 0, 2),
        "slice_from_end": lambda: S.slice(x, -2, 0),
        "is_first": lambda: S.is_first(x) * x,
        "is_last": lambda: S.is_last(x) * x,
        "where": lambda: S.where(positive()),
        "where_repeated": lambda: S.where(C.reduce_sum(x, axis=0) * 0 + 1.5),
        "gather": lambda: S.gather(x, positive()),
        "gather_one": lambda: S.gather(x, S.is_last(x), (0, 1)),
        "scatter": lambda: S.scatter(S.gather(x, positive()), positive(), (1, 0)) + x,
        "scatter_one": lambda: S.scatter(S.last(x), S.is_first(x)),
        "broadcast_as": lambda: S.broadcast_as(S.last(x), x) * x,
        "broadcast_by_itself": lambda: x * S.first(x),
        "reduce_sum": lambda: S.reduce_sum(x),
        "reduce_max": lambda: S.reduce_max(x),
        "softmax": lambda: S.softmax(x),
        "unpack": lambda: S.unpack(x, -1),
        "unpack_values": lambda: S.unpack(x, 0, True),
        "to_sequence": lambda: C.to_sequence(C.splice(S.first(x), S.last(x), axis=-2)),
        "to_sequence_like": lambda: C.to_sequence_like(S.unpack(x, 0, True), x) * x,
        "reconcile": lambda: C.reconcile_dynamic_axes(S.first(x), x),
        "all_axes": lambda: C.reduce_sum(x, axis=C.Axis.all_axes()),
        "batch_axis": lambda: C.reduce_mean(S.last(x), axis=C.Axis.default_batch_axis()),
        "one_hot": lambda: C.one_hot(C.abs(C.floor(x)), 4),
        "one_hot_axis": lambda: C.one_hot(C.abs(C.floor(x)), 4, axis=0),
    }


def recurrences(C: Any, x: Any) -> Dict[str, Callable[[], Any]]:
    L, S = C.layers, C.sequence

    def both_ways() -> Any:
        ahead, back = L.Recurrence(L.LSTM(2)), L.Recurrence(L.LSTM(2), go_backwards=True)
        return C.splice(ahead(x), back(x))

    def stabilized() -> Any:
        return L.LSTM(2, cell_shape=3, use_peepholes=True, enable_self_stabilization=True)

    return {
        "sum": lambda: L.Recurrence(C.plus)(x),
        "sum_back": lambda: L.Recurrence(C.plus, go_backwards=True, initial_state=1)(x),
        "lstm": lambda: L.Recurrence(L.LSTM(2))(x),
        "lstm_back": lambda: L.Recurrence(L.LSTM(2), go_backwards=True, name="back")(x),
        "lstm_state": lambda: L.Recurrence(L.LSTM(2), return_full_state=True)(x),
        "lstm_options": lambda: L.Recurrence(stabilized())(x),
        "lstm_relu": lambda: L.Recurrence(L.LSTM(2, activation=C.relu, init_bias=0.5))(x),
        "gru": lambda: L.Recurrence(L.GRU(2))(x),
        "gru_stabilized": lambda: L.Recurrence(L.GRU(2, enable_self_stabilization=True))(x),
        "rnn": lambda: L.Recurrence(L.RNNStep(2), initial_state=0.25)(x),
        "fold": lambda: L.Fold(L.LSTM(2))(x),
        "fold_back": lambda: L.Fold(L.GRU(2), go_backwards=True, initial_state=0.5)(x),
        "fold_state": lambda: L.Fold(L.LSTM(2), return_full_state=True)(x),
        "both_ways": both_ways,
        "window": lambda: C.combine(list(L.PastValueWindow(3, axis=-2)(x).outputs)),
        "delay": lambda: L.Delay(2, initial_state=3)(x),
        "delay_back": lambda: L.Delay(-1)(x),
        "stack": lambda: L.Sequential(
            [L.Embedding(4), L.Recurrence(L.LSTM(3)), L.Stabilizer(), L.Dense(2)]
        )(x),
        "from_last": lambda: L.RecurrenceFrom(L.GRU(3))(S.last(x), x),
        "from_sequence": lambda: L.RecurrenceFrom(L.GRU(3))(x, x),
        "unfold": lambda: L.UnfoldFrom(lambda h: h * 0.5 + 1)(S.last(x), x),
        "unfold_longer": lambda: L.UnfoldFrom(lambda h: (h * 2, h * 0.5 + 1), length_increase=1.5)(
            S.last(x), x
        ),
        "unfold_until": lambda: L.UnfoldFrom(
            lambda h: h * 0.5 + 1, until_predicate=lambda w: C.greater(C.reduce_sum(w, axis=0), 4)
        )(S.last(x), x),
        "convolution": lambda: L.Convolution(3, 4, sequential=True, pad=True, activation=C.tanh)(x),
    }


def loops(C: Any, x: Any) -> Dict[str, Callable[[], Any]]:
    S = C.sequence

    def by_placeholder() -> Any:
        h = C.placeholder(name="h")
        sums = S.past_value(h) + x
        rectified = C.relu(sums)
        sums.replace_placeholders({h: sums.output})
        return rectified

    def two_steps_back() -> Any:
        h = C.placeholder(3)
        made = S.past_value(h, time_step=2, initial_state=1) * 0.5 + x
        return made.replace_placeholders({h: made})

    def two_steps_ahead() -> Any:
        h = C.layers.ForwardDeclaration("h")
        made = S.future_value(h, time_step=2, initial_state=S.last(x)) * 0.5 + x
        h.resolve_to(made)
        return made

    def one_after_the_other() -> Any:
        inner = C.layers.Recurrence(C.plus)(x) * x
        return C.layers.Recurrence(lambda h, y: h * 0.5 + y, go_backwards=True)(inner)

    return {
        "loop_by_placeholder": by_placeholder,
        "loop_two_steps_back": two_steps_back,
        "loop_two_steps_ahead": two_steps_ahead,
        "loops_one_after_the_other": one_after_the_other,
    }


def flat(value: Any) -> Any:
    """Return an array, or a list's arrays one after the other."""
    return np.concatenate(value) if isinstance(value, list) else np.asarray(value)


def lengths(value: Any) -> Any:
    """Return the sequences' lengths, -1 for an array."""
    return np.array([len(part) for part in value] if isinstance(value, list) else [-1])


def outputs(function: Any, values: Any) -> List[Any]:
    """Return a function's outputs: arrays, or lists of them for sequences."""
    result = function.eval({function.arguments[0]: values})
    if isinstance(result, dict):
        return [result[output] for output in function.outputs]
    return [result]


def gradients(function: Any, x: Any, values: Any) -> List[Any]:
    """Return the gradients of the parameters and of x."""
    wanted = list(function.parameters) + [x]
    made = function.grad({x: values}, wrt=wanted)
    return [made[v] for v in wanted] if isinstance(made, dict) else [made]


def has_gradient(name: str) -> bool:
    """Return whether CNTK can differentiate the function."""
    lone = ("where", "one_hot", "state", "window", "unpack", "unfold_until", "batch_axis")
    return not any(part in name for part in lone) or name == "unpack_values"


def main() -> None:
    import cntk

    values = inputs()
    stored: Dict[str, Any] = {}
    x = cntk.sequence.input_variable(3, needs_gradient=True, name="x")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "function.dnn")
        for name, make in functions(cntk, x).items():
            function = make()
            function.save(path)
            with open(path, "rb") as file:
                stored["file_" + name] = np.frombuffer(file.read(), np.uint8)
            for i, output in enumerate(outputs(function, values)):
                stored["output{}_{}".format(i, name)] = flat(output)
                stored["lengths{}_{}".format(i, name)] = lengths(output)
            if has_gradient(name):
                for i, gradient in enumerate(gradients(function, x, values)):
                    stored["gradient{}_{}".format(i, name)] = flat(gradient)
            stored["text_" + name] = np.array([str(function), repr(function.outputs[0].shape)])
    np.savez_compressed(sys.argv[1], **stored)


if __name__ == "__main__":
    main()
