"""Operations, layers and criteria against what real CNTK 2.7 computed and wrote."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_functions

STORED = np.load(Path(__file__).parent / "data" / "functions_cntk27.npz")
NAMES = sorted(key[5:] for key in STORED.files if key.startswith("file_"))
# Their graphs branch, or CNTK wrote them as more blocks than are needed: read alike, written in
# another order.
OTHER_ORDER = {
    "binary_cross_entropy",
    "combine",
    "compare",
    "cross_entropy",
    "elu",
    "leaky_relu",
    "log_softmax",
    "select",
    "softmax_axis",
    "times_both",
}


@pytest.fixture(scope="module")
def built() -> dict[str, C.Function]:
    C.cntk_py.reset_random_seed()
    return reference_functions.functions(C)


def results(function: C.Function) -> list[Any]:
    values = {name: STORED[name] for name in "xvy"}
    return reference_functions.outputs(function, values)


def check(name: str, function: C.Function) -> None:
    for i, result in enumerate(results(function)):
        expected = STORED[f"output{i}_{name}"]
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_built_function_computes_what_cntk_computes(
    name: str, built: dict[str, C.Function]
) -> None:
    """A function made with the same calls and seeds has CNTK's output."""
    check(name, built[name])


@pytest.mark.parametrize("name", NAMES)
def test_loaded_function_computes_what_cntk_computes(name: str) -> None:
    """A file that CNTK wrote has CNTK's output here."""
    check(name, C.load_model(STORED[f"file_{name}"].tobytes()))


@pytest.mark.parametrize("name", sorted({*NAMES} - OTHER_ORDER))
def test_cntks_file_is_written_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    """Reading and writing a file of CNTK gives the same bytes."""
    original = STORED[f"file_{name}"].tobytes()
    C.load_model(original).save(tmp_path / "again.dnn")
    assert (tmp_path / "again.dnn").read_bytes() == original


@pytest.mark.parametrize("name", NAMES)
def test_function_survives_its_own_file(
    name: str, built: dict[str, C.Function], tmp_path: Path
) -> None:
    """A saved function computes the same bits when loaded; saved twice it gives the same bytes."""
    built[name].save(tmp_path / "one.dnn")
    built[name].save(tmp_path / "two.dnn")
    assert (tmp_path / "one.dnn").read_bytes() == (tmp_path / "two.dnn").read_bytes()
    loaded = C.load_model(tmp_path / "one.dnn")
    for before, after in zip(results(built[name]), results(loaded), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", NAMES)
def test_function_prints_as_in_cntk(name: str, built: dict[str, C.Function]) -> None:
    """The text of a function is CNTK's."""
    assert str(built[name]) == STORED[f"text_{name}"][0]
