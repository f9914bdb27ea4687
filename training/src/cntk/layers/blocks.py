"""Blocks that layers are made of: the identity, the stabilizer, places for what comes later."""

import math
from typing import Any

from cntk import ops
from cntk._absent import absent
from cntk.default_options import default_override_or, get_default_override
from cntk.layers._building import _layer
from cntk.ops.functions import Function
from cntk.variables import Parameter, Variable

identity = Function(lambda keep: ops.combine([keep]))


def UntestedBranchError(name: str) -> None:  # noqa: N802 (CNTK's name)
    """Raise the error of a way through the code that nobody tried."""
    message = f"Untested code branch: {name}"
    raise NotImplementedError(message)


def Stabilizer(  # noqa: N802 (CNTK's name)
    steepness: float = 4,
    enable_self_stabilization: bool = default_override_or(True),
    name: str = "",
) -> Function:
    """Return a layer that multiplies by a learned number, at first 1.

    Args:
        steepness: Of the softplus that keeps the number positive.
        enable_self_stabilization: Whether there is a layer at all.
        name: Of the layer.
    """
    enabled = get_default_override(Stabilizer, enable_self_stabilization=enable_self_stabilization)
    if not enabled:
        return identity
    alpha = Parameter((), math.log(math.exp(steepness) - 1) / steepness, name="alpha")
    beta = ops.softplus(alpha, steepness=steepness)
    return _layer("Stabilizer", lambda x: ops.element_times(beta, x), name)


def ForwardDeclaration(name: str = "forward_declaration") -> Variable:  # noqa: N802
    """Return a place that `resolve_to` fills with what uses it."""
    place = ops.placeholder(name=name)

    def resolve_to(value: Any) -> None:
        owner = value if isinstance(value, Function) else value.owner
        owner.replace_placeholders({place: value})

    place.resolve_to = resolve_to  # type: ignore[attr-defined]
    return place


__getattr__ = absent(__name__)
