"""The page of all public names of CNTK 2.7: which are done, which in part, which are absent.

`python training/tests/names_table.py` writes `docs/cntk.md` anew; a test compares the two. Only the
reasons why a name is partial are kept here, all else is looked up in the package.
"""

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

NAMES: Final[dict[str, dict[str, list[str] | None]]] = json.loads(
    (Path(__file__).parent / "data" / "names_cntk27.json").read_text()
)
PAGE: Final = Path(__file__).parents[2] / "docs" / "cntk.md"
PARTIAL: Final = {
    "Convolution": "no sequential, sharing or transpose_weight",
    "convolution": "no sequential, sharing or kernels of fewer channels",
    "convolution_transpose": "no sharing, no reduction_rank 0",
    "batch_normalization": "no blend_time_constant",
    "BatchNormalization": "no blend_time_constant",
    "Function.load": "no ONNX",
    "load_model": "no ONNX",
    "Function.save": "no external files for parameters",
    "BlockFunction": "one output",
    "plot": "text and .dot files",
    "top_k": "along another axis than the last it prints as a combination",
    "UserFunction": "on arrays only",
    "random_sample": "the result is dense",
    "as_block": "one output",
    "cosine_distance_with_negative_samples": "shift and count are numbers",
}
HEAD: Final = """# The names of CNTK 2.7

Which of CNTK's public names this package has. *Done*: the name is there with CNTK's parameters.
*Partial*: what is missing is said, and asking for it raises an error; or the parameters differ.
*Absent*: using the name raises an error that names it. The native module `cntk.cntk_py` and the
packages of `cntk.contrib` are not listed.

Written by `python training/tests/names_table.py` from the names that real CNTK 2.7 has.
"""


def state(module: str, name: str, wanted: list[str] | None) -> tuple[str, str]:
    """Return "done", "partial" or "absent", and why."""
    try:
        value: Any = importlib.import_module(module)
    except ImportError:
        return "absent", ""
    for part in name.split("."):
        if isinstance(value, type) and part in _set_by_init(value):
            return "done", ""
        value = inspect.getattr_static(value, part, None) or getattr(value, part, None)
        if value is None:
            return "absent", ""
    if name in PARTIAL:
        return "partial", PARTIAL[name]
    found = None if wanted is None else parameters(value)
    if wanted is not None and found is not None:
        expected = [p for p in wanted if not p.startswith("*")]
        rest = [p for p in found if p not in expected]
        if found[: len(expected)] != expected or (rest and len(expected) == len(wanted)):
            return "partial", f"parameters {', '.join(found) or 'none'}"
    return "done", ""


def _set_by_init(kind: type) -> set[str]:
    """Return the attributes that instances get when they are made."""
    inits = [vars(base).get("__init__") for base in kind.__mro__]
    return {name for init in inits if inspect.isfunction(init) for name in init.__code__.co_names}


def parameters(value: Any) -> list[str] | None:
    """Return the names of a callable's parameters, None for what is not called."""
    call: Callable[..., Any] = getattr(value, "__func__", value)
    if isinstance(value, type):
        call = getattr(value, "__init__")  # noqa: B009 (the class's own)
    if not inspect.isfunction(call):
        return None
    signature = inspect.signature(call)
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [p.name for p in signature.parameters.values() if p.kind not in kinds]
    return [name for name in names if name != "self" and not name.startswith("_")]


def render() -> str:
    """Return the page."""
    parts = [HEAD]
    counts = dict.fromkeys(("done", "partial", "absent"), 0)
    for module, names in NAMES.items():
        groups: dict[str, list[str]] = {key: [] for key in counts}
        for name, wanted in names.items():
            where, why = state(module, name, wanted)
            counts[where] += 1
            groups[where].append(f"`{name}` ({why})" if why else f"`{name}`")
        parts.append(f"## {module}\n\n| | |\n| --- | --- |\n" + "".join(_rows(groups)))
    total = ", ".join(f"{count} {key}" for key, count in counts.items())
    return "\n".join([parts[0], f"Of {sum(counts.values())} names: {total}.\n", *parts[1:]])


def _rows(groups: dict[str, list[str]]) -> Iterator[str]:
    for key, listed in groups.items():
        if listed:
            yield f"| {key} | {', '.join(listed)} |\n"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
    PAGE.write_text(render())
