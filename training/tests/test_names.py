"""The public names of CNTK 2.7: the page that lists them, and their parameters."""

import pytest

import names_table


@pytest.mark.skipif(not names_table.PAGE.parent.is_dir(), reason="tests of an sdist have no docs")
def test_the_page_of_names_is_true() -> None:
    """docs/cntk.md says what is there; `python training/tests/names_table.py` writes it anew."""
    assert names_table.PAGE.read_text() == names_table.render()


@pytest.mark.parametrize("module", ["cntk.ops", "cntk.layers.layers", "cntk.random", "cntk.losses"])
def test_what_is_there_has_cntks_parameters(module: str) -> None:
    """No name of these modules differs from CNTK's in the names or the order of parameters."""
    states = {
        name: names_table.state(module, name, wanted)
        for name, wanted in names_table.NAMES[module].items()
    }
    assert not {n: why for n, (_, why) in states.items() if why.startswith("parameters")}
    assert sum(where == "done" for where, _ in states.values()) > len(states) / 3
