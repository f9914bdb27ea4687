"""Small sequence models trained from text files, and how the reader gives the files out.

`python reference_tagging.py FOLDER` under real CNTK 2.7 (Python 3.6) wrote into `data` the files
`reading_cntk27.json` (minibatches), `tagging_cntk27.json` (losses and metrics) and the trained
models. The tests do the same here and compare.
"""

import json
import os
import sys
import tempfile
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

WORDS, TAGS = 30, 5


def lengths_file(lengths: Tuple[int, ...]) -> str:
    """Return sequences whose values say which sequence and step they are."""
    lines = []
    for i, length in enumerate(lengths):
        for t in range(length):
            label = " |y {}".format(i) if t == 0 else ""
            lines.append("{} |x {}{}".format(i, i * 100 + t, label))
    return "\n".join(lines) + "\n"


def files() -> Dict[str, str]:
    """Return text files by name."""
    return {
        "eight": lengths_file((3, 1, 4, 2, 5, 2, 3, 1)),
        "five": lengths_file((1, 2, 1, 2, 3)),
        "two_lengths": "0 |x 1 |y 10\n0 |y 11\n0 |y 12\n1 |x 2 |y 20\n1 |x 3\n2 |x 4 |y 30\n",
        "numbers_again": "5 |x 1 |y 1\n5 |x 2\n3 |x 3 |y 3\n3 |x 4\n5 |x 7 |y 8\n",
        "numbers_once": "0 |x 1 |y 1\n|x 2\n|x 3\n3 |x 3 |y 3\n|x 4\n",
        "no_numbers": "|x 1 |y 1\n|x 2 |y 2\n|x 3 |y 3\n",
        "sparse": (
            "0 |x 3:1 |# a |y 0:1\n0 |x 5:2 1:0.5 |y 1:1\n0 |x |y 2:1\n1 |x 9:1 1:1 1:2 |y 1:1\n"
            "2 |x 0:1 |y 0:1\n2 |x 2:1 |y 2:1\n"
        ),
    }


def readings() -> List[Tuple[str, int, int, Dict[str, Any]]]:
    """Return file, minibatch size, number of minibatches and options of each reading."""
    return [
        ("eight", 4, 12, {"randomize": False}),
        ("eight", 7, 10, {"max_sweeps": 2}),
        ("eight", 4, 12, {}),
        ("eight", 7, 4, {"max_samples": 10}),
        ("eight", 7, 4, {"max_samples": 10, "randomize": False}),
        ("eight", 1, 8, {"randomization_seed": 5}),
        ("five", 4, 4, {}),
        ("five", 4, 8, {"randomize": False}),
        ("five", 20, 3, {}),
        ("five", 5, 4, {"max_samples": 12}),
        ("two_lengths", 3, 5, {"randomize": False}),
        ("two_lengths", 4, 5, {"randomize": False}),
        ("numbers_again", 2, 4, {"randomize": False}),
        ("numbers_once", 2, 4, {"randomize": False}),
        ("no_numbers", 2, 4, {"randomize": False}),
        ("sparse", 4, 4, {"randomize": False}),
        ("sparse", 3, 6, {}),
    ]


def minibatches(C: Any, path: str, size: int, steps: int, options: Dict[str, Any]) -> List[Any]:
    """Return for each minibatch samples, sequences, sweep's end and values of x and y."""
    sparse = "sparse" in path
    dims = {"x": 10, "y": 3} if sparse else {"x": 1, "y": 1}
    streams = {n: C.io.StreamDef(n, d, is_sparse=sparse) for n, d in dims.items()}
    deserializer = C.io.CTFDeserializer(path, C.io.StreamDefs(**streams))
    source = C.io.MinibatchSource(deserializer, **options)
    inputs = {n: C.sequence.input_variable(d, is_sparse=sparse) for n, d in dims.items()}
    names = {inputs[n]: getattr(source.streams, n) for n in dims}
    return [described(source.next_minibatch(size, names), inputs) for _ in range(steps)]


def described(data: Any, inputs: Dict[str, Any]) -> List[Any]:
    """Return a minibatch as numbers; CNTK's own is a view of memory that the next one needs."""
    row = []
    for name in sorted(inputs) if data else []:
        part = data[inputs[name]]
        listed = part.as_sequences(inputs[name])
        dense = [np.array(s.todense() if hasattr(s, "todense") else s) for s in listed]
        values = [[[float(v) for v in step] for step in s.reshape(len(s), -1)] for s in dense]
        row.append([part.num_samples, part.num_sequences, bool(part.end_of_sweep), values])
    return row


def tagging_file() -> str:
    """Return sparse sequences of words with a tag each, and a class for each sequence."""
    draw = np.random.RandomState(8)
    lines = []
    for i in range(40):
        words = draw.randint(WORDS, size=draw.randint(2, 8))
        for t, word in enumerate(words):
            label = " |c {}:1".format(int(words.sum()) % TAGS) if t == 0 else ""
            lines.append("{} |w {}:1{} |t {}:1".format(i, word, label, (word * 7 + t) % TAGS))
    return "\n".join(lines) + "\n"


def models(C: Any) -> Dict[str, Callable[[Any], Any]]:
    """Return networks by name; a name with `class` gives one result for each sequence."""
    L = C.layers

    def tagger(x: Any) -> Any:
        parts = [L.Embedding(6), L.Recurrence(L.LSTM(8)), L.Dense(TAGS, name="out")]
        return L.Sequential(parts)(x)

    def both_ways(x: Any) -> Any:
        embedded = L.Embedding(6)(x)
        ahead = L.Recurrence(L.GRU(5))(embedded)
        back = L.Recurrence(L.GRU(5), go_backwards=True)(embedded)
        return L.Dense(TAGS)(C.splice(ahead, back))

    def stabilized(x: Any) -> Any:
        with L.default_options(enable_self_stabilization=True):
            unit = L.LSTM(8, cell_shape=9)
            return L.Sequential(
                [L.Embedding(6), L.Stabilizer(), L.Recurrence(unit), L.Stabilizer(), L.Dense(TAGS)]
            )(x)

    def classifier(x: Any) -> Any:
        return L.Sequential([L.Embedding(6), L.Fold(L.LSTM(8)), L.Dense(TAGS)])(x)

    def last_of_lstm(x: Any) -> Any:
        run = L.Recurrence(L.RNNStep(8, activation=C.tanh))(L.Embedding(6)(x))
        return L.Dense(TAGS)(C.sequence.last(run))

    return {
        "tagger": tagger,
        "tagger_both_ways": both_ways,
        "tagger_stabilized": stabilized,
        "class_fold": classifier,
        "class_last": last_of_lstm,
    }


def train(
    C: Any, path: str, make: Callable[[Any], Any], of_sequence: bool
) -> Tuple[Any, List[Any]]:
    """Return a model after 12 minibatches, and each one's samples, loss and metric."""
    streams = C.io.StreamDefs(
        w=C.io.StreamDef("w", WORDS, is_sparse=True),
        t=C.io.StreamDef("t", TAGS, is_sparse=True),
        c=C.io.StreamDef("c", TAGS, is_sparse=True),
    )
    source = C.io.MinibatchSource(C.io.CTFDeserializer(path, streams))
    x = C.sequence.input_variable(WORDS, is_sparse=True, name="x")
    label = C.input_variable if of_sequence else C.sequence.input_variable
    y = label(TAGS, is_sparse=True, name="y")
    model = make(x)
    loss = C.cross_entropy_with_softmax(model, y)
    error = C.classification_error(model, y)
    rate = C.learning_parameter_schedule_per_sample(0.02)
    learner = C.momentum_sgd(model.parameters, rate, C.momentum_schedule(0.9))
    trainer = C.Trainer(model, (loss, error), [learner])
    streams_of = {x: source.streams.w, y: source.streams.c if of_sequence else source.streams.t}
    seen = []
    for _ in range(12):
        trainer.train_minibatch(source.next_minibatch(20, streams_of))
        seen.append(
            [
                trainer.previous_minibatch_sample_count,
                trainer.previous_minibatch_loss_average,
                trainer.previous_minibatch_evaluation_average,
            ]
        )
    return model, seen


def series(C: Any) -> Tuple[Any, List[Any]]:
    """Return a model of a time series as in CNTK 106, and losses of 12 minibatches."""
    times = np.arange(200, dtype=np.float32) / 10
    wave = np.sin(times) + 0.5 * np.sin(times * 2.5 + 1)
    windows = [wave[i : i + 10].reshape(10, 1) for i in range(180)]
    targets = np.array([[wave[i + 14]] for i in range(180)], np.float32)
    x, y = C.sequence.input_variable(1), C.input_variable(1, name="y")
    with C.layers.default_options(initial_state=0.1):
        run = C.layers.Recurrence(C.layers.LSTM(10))(x)
        model = C.layers.Dense(1)(C.layers.Dropout(0.0)(C.sequence.last(run)))
    error = C.squared_error(model, y)
    learner = C.adam(
        model.parameters,
        lr=C.learning_rate_schedule(0.02, C.UnitType.minibatch),
        momentum=C.momentum_as_time_constant_schedule(15 / -np.log(0.9)),
        unit_gain=True,
    )
    trainer = C.Trainer(model, (error, error), [learner])
    seen = []
    for i in range(12):
        part = slice(i * 15, i * 15 + 15)
        trainer.train_minibatch({x: windows[part], y: targets[part]})
        seen.append(
            [
                trainer.previous_minibatch_sample_count,
                trainer.previous_minibatch_loss_average,
                trainer.previous_minibatch_evaluation_average,
            ]
        )
    return model, seen


def translation(C: Any) -> Tuple[Any, List[Any]]:
    """Return a sequence-to-sequence model with two axes, and losses of 6 minibatches."""
    S, L, size = C.sequence, C.layers, 7
    x = S.input_variable(size, sequence_axis=C.Axis("inputAxis"), name="source")
    y = S.input_variable(size, sequence_axis=C.Axis("labelAxis"), name="target")
    labels, start = S.slice(y, 1, 0), S.first(y)
    is_first = S.is_first(labels)
    encoder = L.Recurrence(L.LSTM(8), go_backwards=True, return_full_state=True)
    thoughts = [S.broadcast_as(S.first(v), labels) for v in encoder(L.Embedding(5)(x)).outputs]
    before = S.past_value(C.alias(labels))
    given = C.element_select(is_first, S.scatter(start, is_first), before)
    ahead = [L.ForwardDeclaration() for _ in thoughts]
    states = [C.element_select(is_first, v, S.past_value(a)) for v, a in zip(thoughts, ahead)]
    step = L.LSTM(8)(*(states + [L.Embedding(5)(given)]))
    for declared, made in zip(ahead, step.outputs):
        declared.resolve_to(made)
    model = L.Dense(size)(step.outputs[0])
    loss = C.cross_entropy_with_softmax(model, labels)
    error = C.classification_error(model, labels)
    rate = C.learning_parameter_schedule_per_sample(0.05)
    learner = C.momentum_sgd(model.parameters, rate, C.momentum_schedule(0.5))
    trainer = C.Trainer(model, (loss, error), [learner])
    draw, eye, seen = np.random.RandomState(1), np.eye(size, dtype=np.float32), []
    for _ in range(6):
        source = [eye[draw.randint(size, size=n)] for n in (3, 5, 2)]
        target = [eye[draw.randint(size, size=n)] for n in (4, 3, 6)]
        trainer.train_minibatch({x: source, y: target})
        seen.append(
            [
                trainer.previous_minibatch_sample_count,
                trainer.previous_minibatch_loss_average,
                trainer.previous_minibatch_evaluation_average,
            ]
        )
    return model, seen


def main() -> None:
    import cntk

    target = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in list(files().items()) + [("tagging", tagging_file())]:
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        read = [
            minibatches(cntk, os.path.join(folder, name), size, steps, options)
            for name, size, steps, options in readings()
        ]
        with open(os.path.join(target, "reading_cntk27.json"), "w") as file:
            json.dump(read, file)
        losses = {}
        for name, make in models(cntk).items():
            cntk.cntk_py.reset_random_seed()
            path = os.path.join(folder, "tagging")
            model, losses[name] = train(cntk, path, make, name.startswith("class"))
            model.save(os.path.join(target, name + "_cntk27.dnn"))
        cntk.cntk_py.reset_random_seed()
        model, losses["series"] = series(cntk)
        model.save(os.path.join(target, "series_cntk27.dnn"))
        cntk.cntk_py.reset_random_seed()
        losses["translation"] = translation(cntk)[1]
        with open(os.path.join(target, "tagging_cntk27.json"), "w") as file:
            json.dump(losses, file)


if __name__ == "__main__":
    main()
