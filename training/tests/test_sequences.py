"""Sequences and recurrence against what real CNTK 2.7 computed and wrote."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_sequences
from cntk._dictionary import decode, encode

STORED = np.load(Path(__file__).parent / "data" / "sequences_cntk27.npz")
NAMES = sorted(key[5:] for key in STORED.files if key.startswith("file_"))
# CNTK calls a combination of all of a layer's outputs a composite.
OTHER_TEXT = {"window"}


@pytest.fixture(scope="module")
def built() -> tuple[C.Variable, dict[str, C.Function]]:
    C.cntk_py.reset_random_seed()
    x = C.sequence.input_variable(3, needs_gradient=True, name="x")
    made = reference_sequences.functions(C, x)
    return x, {name: make() for name, make in made.items()}


def check(name: str, function: C.Function) -> None:
    results = reference_sequences.outputs(function, reference_sequences.inputs())
    for i, result in enumerate(results):
        expected = STORED[f"output{i}_{name}"]
        found = reference_sequences.flat(result)
        lengths = reference_sequences.lengths(result)
        np.testing.assert_array_equal(lengths, STORED[f"lengths{i}_{name}"])
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_built_function_computes_what_cntk_computes(name: str, built: Any) -> None:
    """A function made with the same calls and seeds has CNTK's sequences."""
    check(name, built[1][name])


@pytest.mark.parametrize("name", NAMES)
def test_loaded_function_computes_what_cntk_computes(name: str) -> None:
    """A file that CNTK wrote, loops and all, has CNTK's output here."""
    check(name, C.load_model(STORED[f"file_{name}"].tobytes()))


@pytest.mark.parametrize("name", [n for n in NAMES if f"gradient0_{n}" in STORED.files])
def test_gradients_are_cntks(name: str, built: Any) -> None:
    """The gradients of parameters and input are CNTK's, through all steps."""
    x, made = built
    found = reference_sequences.gradients(made[name], x, reference_sequences.inputs())
    for i, gradient in enumerate(found):
        expected = STORED[f"gradient{i}_{name}"]
        np.testing.assert_allclose(
            reference_sequences.flat(gradient), expected, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("name", NAMES)
def test_function_survives_its_own_file(name: str, built: Any, tmp_path: Path) -> None:
    """A saved function computes the same bits when loaded, and is written again the same."""
    function = built[1][name]
    function.save(tmp_path / "one.dnn")
    loaded = C.load_model(tmp_path / "one.dnn")
    loaded.save(tmp_path / "two.dnn")
    assert (tmp_path / "one.dnn").read_bytes() == (tmp_path / "two.dnn").read_bytes()
    values = reference_sequences.inputs()
    for before, after in zip(
        reference_sequences.outputs(function, values),
        reference_sequences.outputs(loaded, values),
        strict=True,
    ):
        np.testing.assert_array_equal(
            reference_sequences.flat(before), reference_sequences.flat(after)
        )


@pytest.mark.parametrize("name", sorted({*NAMES} - OTHER_TEXT))
def test_function_prints_as_in_cntk(name: str, built: Any) -> None:
    """The text of a function is CNTK's, but for the numbers of uids in the names of axes."""
    text, shape = STORED[f"text_{name}"]
    numbers = str.maketrans("", "", "0123456789")
    assert str(built[1][name]).translate(numbers) == str(text).translate(numbers)
    assert repr(built[1][name].outputs[0].shape) == shape


def test_models_with_other_connections_are_refused_or_loaded() -> None:
    """Whatever is connected to whatever, reading a model with loops ends, perhaps in an error."""
    draw = np.random.default_rng(0)
    for name in ("lstm_options", "unfold_until", "scatter"):
        for _ in range(40):
            model = decode(STORED[f"file_{name}"].tobytes())
            functions = model["primitive_functions"]
            uids = [f"{f['uid']}_Output_0" for f in functions] + [v["uid"] for v in model["inputs"]]
            inputs = functions[draw.integers(len(functions))]["inputs"]
            inputs[draw.integers(len(inputs))] = uids[draw.integers(len(uids))]
            try:
                C.load_model(encode(model))
            except (RuntimeError, ValueError, NotImplementedError):
                continue
