"""Every public name of CNTK 2.7 with its parameters.

`python reference_names.py FILE.json` under real CNTK 2.7 (Python 3.6) made
`data/names_cntk27.json`: module to name to parameters (null for what is not
called); a class's members follow it as `Class.member`.
"""

import importlib
import inspect
import json
import pkgutil
import sys
import types
import warnings
from typing import Any, Dict, List, Optional

SKIPPED = ("cntk.cntk_py", "cntk.contrib", "cntk.conftest", "cntk.internal")
UNLISTED = ("C", "cntk_py", "tests", "typemap", "division", "print_function", "warn")


def modules(C: Any) -> List[Any]:
    """Return the package and all its modules but for the native one and what is no API."""
    found = [C]
    for info in pkgutil.walk_packages(C.__path__, "cntk."):
        parts = info.name.split(".")
        if info.name.startswith(SKIPPED) or any(p == "tests" or p[0] == "_" for p in parts):
            continue
        try:
            found.append(importlib.import_module(info.name))
        except Exception as error:  # one that needs more than is installed
            sys.stderr.write("left out: {} {}\n".format(info.name, error))
    return found


def parameters(value: Any) -> Optional[List[str]]:
    """Return the names of a callable's parameters, with stars, without `self`."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    stars: Dict[Any, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    names = [stars.get(p.kind, "") + p.name for p in signature.parameters.values()]
    return names[1:] if names[:1] == ["self"] else names


def own(module: Any, value: Any) -> bool:
    """Return whether a module's name is its own and not one that it only uses."""
    if isinstance(value, types.ModuleType):
        return value.__name__.startswith(module.__name__ + ".")
    home: Any = getattr(value, "__module__", None)
    if home is None or not isinstance(value, (type, types.FunctionType)):
        return True
    if module.__name__ == "cntk":
        return bool(home.startswith("cntk.") and not home.startswith("cntk.internal"))
    return bool(home == module.__name__ or home.startswith(module.__name__ + "."))


def members(title: str, kind: type) -> Dict[str, Optional[List[str]]]:
    """Return a class's public methods and properties, those of the native base left out."""
    found: Dict[str, Optional[List[str]]] = {}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("cntk") or base.__module__ == "cntk.cntk_py":
            continue
        for name, member in vars(base).items():
            if name.startswith("_"):
                continue
            plain = getattr(member, "__func__", member)
            is_call = isinstance(plain, types.FunctionType)
            found[title + "." + name] = parameters(plain) if is_call else None
    return found


def names(C: Any) -> Dict[str, Dict[str, Optional[List[str]]]]:
    """Return all names by module."""
    result: Dict[str, Dict[str, Optional[List[str]]]] = {}
    for module in modules(C):
        listed: Dict[str, Optional[List[str]]] = {}
        for name, value in sorted(vars(module).items()):
            if name.startswith("_") or name in UNLISTED or not own(module, value):
                continue
            if isinstance(value, type):
                native = value.__module__ == "cntk.cntk_py"
                listed[name] = None if native else parameters(getattr(value, "__init__"))
                if value.__module__ == module.__name__:
                    listed.update(members(name, value))
            elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
                listed[name] = parameters(value)
            else:
                listed[name] = None
        result[module.__name__] = listed
    return result


def main() -> None:
    import cntk

    warnings.simplefilter("ignore")
    with open(sys.argv[1], "w") as file:
        json.dump(names(cntk), file, indent=0, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
