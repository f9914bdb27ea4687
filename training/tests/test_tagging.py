"""Sequence models from text files to trained models: what real CNTK 2.7 read, lost and saved."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_tagging

DATA = Path(__file__).parent / "data"
READ = json.loads((DATA / "reading_cntk27.json").read_text())
LOSSES = json.loads((DATA / "tagging_cntk27.json").read_text())
DENSE = {"series": reference_tagging.series, "translation": reference_tagging.translation}
TAGGERS = [name for name in LOSSES if name not in DENSE]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for name, text in {
        **reference_tagging.files(),
        "tagging": reference_tagging.tagging_file(),
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("number", range(len(READ)))
def test_sequences_are_read_in_cntks_minibatches(texts: Path, number: int) -> None:
    """Order, sizes, ends of sweeps and values are CNTK's; no sequence is cut."""
    name, size, steps, options = reference_tagging.readings()[number]
    found = reference_tagging.minibatches(C, str(texts / name), size, steps, options)
    assert found == READ[number]


def trained(texts: Path, name: str) -> tuple[C.Function, list[Any]]:
    if name in DENSE:
        model, losses = DENSE[name](C)
        return model, losses
    path = str(texts / "tagging")
    make = reference_tagging.models(C)[name]
    model, losses = reference_tagging.train(C, path, make, name.startswith("class"))
    return model, losses


@pytest.mark.parametrize("name", LOSSES)
def test_losses_follow_cntks(texts: Path, name: str) -> None:
    """The first minibatches have CNTK's samples, losses and metrics."""
    _, losses = trained(texts, name)
    np.testing.assert_allclose(losses, LOSSES[name], atol=1e-4)


def test_the_time_series_model_is_exchanged(texts: Path) -> None:
    """CNTK's trained model of a time series computes here what the one trained here does."""
    model, _ = trained(texts, "series")
    waves = [np.sin(np.arange(n, dtype=np.float32))[:, None] for n in (10, 7)]
    theirs = C.load_model(DATA / "series_cntk27.dnn").eval(waves)
    np.testing.assert_allclose(model.eval(waves), theirs, atol=1e-4)


@pytest.mark.parametrize("name", TAGGERS)
def test_trained_models_are_exchanged(texts: Path, tmp_path: Path, name: str) -> None:
    """CNTK's trained model computes what the one trained here does, before and after a file."""
    model, _ = trained(texts, name)
    words = C.Value.one_hot([[1, 2, 3], [4], [29, 0]], reference_tagging.WORDS)
    model.save(tmp_path / "model.dnn")
    ours = C.load_model(tmp_path / "model.dnn").eval(words)
    theirs = C.load_model(DATA / f"{name}_cntk27.dnn").eval(words)
    for ours_part, here, there in zip(ours, model.eval(words), theirs, strict=True):
        np.testing.assert_array_equal(ours_part, here)
        np.testing.assert_allclose(here, there, atol=1e-4)
