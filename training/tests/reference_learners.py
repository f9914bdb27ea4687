"""Learners of every kind and option, each over seven minibatches of different sizes.

`python reference_learners.py FILE.npz` under real CNTK 2.7 (Python 3.6) made
`data/learners_cntk27.npz`: the learners' names, and for each the two parameters after each
minibatch. The tests run the same learners here and compare.
"""

import sys
from typing import Any, Callable, Dict, List

import numpy as np

SIZES = [4, 2, 4, 1, 7, 4, 3]
SWEEP_ENDS = [2, 5]
FIRST = np.array([0.5, -1.0], np.float32)
SECOND = np.arange(6, dtype=np.float32).reshape(3, 2) / 4 - 0.5
Case = Callable[[List[Any]], Any]


def minibatches() -> List[Any]:
    """Return samples of shape (size, 2) for each minibatch; the gradients are sums of them."""
    draw = np.random.RandomState(3)
    return [draw.randint(-32, 33, (size, 2)).astype(np.float32) / 16 for size in SIZES]


def kinds(C: Any) -> Dict[str, Callable[..., Any]]:
    """Return the kinds of learners with the hyperparameters they must have."""

    def rmsprop(parameters: Any, lr: Any, **options: Any) -> Any:
        return C.rmsprop(parameters, lr, 0.9, 1.2, 0.7, 10, 0.001, **options)

    def adam(parameters: Any, lr: Any, **options: Any) -> Any:
        options.setdefault("variance_momentum", C.momentum_schedule(0.95))
        return C.adam(parameters, lr, 0.9, **options)

    def fsadagrad(parameters: Any, lr: Any, **options: Any) -> Any:
        options.setdefault("variance_momentum", C.momentum_schedule(0.95))
        return C.fsadagrad(parameters, lr, 0.9, **options)

    return {
        "sgd": C.sgd,
        "momentum_sgd": lambda p, lr, **o: C.momentum_sgd(p, lr, 0.9, **o),
        "nesterov": lambda p, lr, **o: C.nesterov(p, lr, 0.9, **o),
        "adagrad": C.adagrad,
        "adadelta": C.adadelta,
        "rmsprop": rmsprop,
        "adam": adam,
        "fsadagrad": fsadagrad,
    }


def cases(C: Any) -> Dict[str, Case]:
    """Return all learners by name: each is made of the list of parameters."""
    per_sample = C.learning_parameter_schedule_per_sample
    options: Dict[str, Dict[str, Any]] = {
        "plain": {},
        "mean": {"use_mean_gradient": True},
        "ignored": {"minibatch_size": 0},
        "for_4": {"minibatch_size": 4},
        "l1": {"l1_regularization_weight": 0.05},
        "l2": {"l2_regularization_weight": 0.2},
        "l1_l2_mean": {
            "l1_regularization_weight": 0.05,
            "l2_regularization_weight": 0.2,
            "use_mean_gradient": True,
        },
        "clipped": {"gradient_clipping_threshold_per_sample": 0.3},
        "clipped_norm": {
            "gradient_clipping_threshold_per_sample": 0.3,
            "gradient_clipping_with_truncation": False,
        },
        "clipped_mean": {
            "gradient_clipping_threshold_per_sample": 0.3,
            "gradient_clipping_with_truncation": False,
            "use_mean_gradient": True,
        },
    }
    rates = {
        "": lambda: 0.1,
        "sample_": lambda: per_sample(0.05),
        "old_": lambda: C.learning_rate_schedule(0.1, C.UnitType.minibatch),
        "ref3_": lambda: C.learning_parameter_schedule(0.1, minibatch_size=3),
    }
    made: Dict[str, Case] = {}

    def add(name: str, kind: Any, rate: Any, given: Dict[str, Any]) -> None:
        made[name] = lambda p: kind(p, rate(), **given)

    for kind_name, kind in kinds(C).items():
        for option, given in options.items():
            for rate_name, rate in rates.items():
                if rate_name in ("", "sample_") or option in ("plain", "mean", "for_4"):
                    add("{}_{}{}".format(kind_name, rate_name, option), kind, rate, given)
    made.update(special(C))
    return made


def special(C: Any) -> Dict[str, Case]:
    """Return learners with options that only their kind has."""
    rate = C.learning_parameter_schedule_per_sample
    time = C.momentum_as_time_constant_schedule
    lr = C.learning_parameter_schedule
    return {
        "momentum_no_gain": lambda p: C.momentum_sgd(p, rate(0.1), 0.9, unit_gain=False),
        "momentum_time": lambda p: C.momentum_sgd(p, rate(0.1), time([5, 20], epoch_size=8)),
        "momentum_ref": lambda p: C.momentum_sgd(
            p, lr(0.1), C.momentum_schedule(0.9, minibatch_size=3)
        ),
        "momentum_ref_learner": lambda p: C.momentum_sgd(p, 0.1, 0.9, minibatch_size=3),
        "momentum_time_mean": lambda p: C.momentum_sgd(
            p, rate(0.1), time(20), use_mean_gradient=True
        ),
        "momentum_schedule_learner": lambda p: C.momentum_sgd(
            p, lr(0.1), C.momentum_schedule(0.9), minibatch_size=3
        ),
        "nesterov_no_gain": lambda p: C.nesterov(p, rate(0.1), time(30), unit_gain=False),
        "adagrad_without": lambda p: C.adagrad(p, rate(0.1), need_ave_multiplier=False),
        "adadelta_default": C.adadelta,
        "adadelta_rho": lambda p: C.adadelta(p, 0.3, 0.9, 1e-6),
        "rmsprop_without": lambda p: C.rmsprop(
            p, rate(0.1), 0.9, 1.2, 0.7, 0.021, 0.019, need_ave_multiplier=False
        ),
        "adam_default": lambda p: C.adam(p, rate(0.01), time(30)),
        "adam_no_gain": lambda p: C.adam(p, rate(0.01), 0.9, unit_gain=False),
        "adam_epsilon": lambda p: C.adam(
            p, 0.1, 0.9, variance_momentum=C.momentum_schedule_per_sample(0.99), epsilon=0.1
        ),
        "adamax": lambda p: C.adam(p, rate(0.02), 0.9, variance_momentum=0.95, adamax=True),
        "fsadagrad_default": lambda p: C.fsadagrad(p, rate(0.01), time(30)),
        "fsadagrad_no_gain": lambda p: C.fsadagrad(
            p, rate(0.01), 0.9, unit_gain=False, variance_momentum=time(40)
        ),
        "list_samples": lambda p: C.sgd(p, [0.1, 0.2, 0.05], epoch_size=5),
        "list_sweeps": lambda p: C.sgd(p, [0.1, 0.2, 0.05]),
        "pairs": lambda p: C.sgd(p, lr([(2, 0.1), (1, 0.3), (1, 0.05)], epoch_size=4)),
        "training_parameter": lambda p: C.sgd(
            p, C.training_parameter_schedule([0.1, 0.02], C.UnitType.sample, epoch_size=7)
        ),
        "zero_in_between": lambda p: C.momentum_sgd(p, lr([0.1, 0.0, 0.3], epoch_size=6), 0.5),
    }


def path(C: Any, make: Case, precision: Any = np.float32) -> Any:
    """Return the parameters after each minibatch, shape (minibatches, 8)."""
    x = C.input_variable(2, dtype=precision)
    parameters = [
        C.parameter((2,), init=FIRST.astype(precision), dtype=precision),
        C.parameter((3, 2), init=SECOND.astype(precision), dtype=precision),
    ]
    loss = C.reduce_sum(parameters[0] * x) + C.reduce_sum(C.times(parameters[1], x)) * 0.5
    learner = make(parameters)
    trainer = C.Trainer(None, (loss,), [learner])
    after = []
    for i, data in enumerate(minibatches()):
        if i == 4 and getattr(make, "__name__", "") == "with_reset":
            learner.reset_learning_rate(C.learning_parameter_schedule([0.3, 0.1], epoch_size=5))
        trainer.train_minibatch({x: data.astype(precision)}, is_sweep_end=i in SWEEP_ENDS)
        after.append(np.concatenate([p.value.ravel() for p in parameters]))
    return np.stack(after)


def all_paths(C: Any) -> Dict[str, Any]:
    """Return the paths of all learners, and of one whose rate is reset on its way."""

    def with_reset(parameters: List[Any]) -> Any:
        return C.momentum_sgd(parameters, 0.1, 0.9)

    made = {name: path(C, make) for name, make in cases(C).items()}
    made["reset"] = path(C, with_reset)
    return made


def main() -> None:
    import cntk

    made = all_paths(cntk)
    paths = np.stack([made[name] for name in sorted(made)])
    np.savez_compressed(sys.argv[1], names=np.array(sorted(made)), paths=paths)


if __name__ == "__main__":
    main()
