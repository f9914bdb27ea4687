"""The table: our figure, the peer's, their ratio with its spread over the rounds, the target."""

from collections.abc import Mapping, Sequence
from statistics import median

from plan import Row

Rounds = Sequence[Mapping[str, Sequence[float]]]
"""The samples of one adapter, by name, round by round."""

HEAD = ("what", "ours", "peer's", "peer", "ratio", "(rounds)", "target", "met")


def _figure(row: Row, rounds: Rounds) -> float | None:
    samples = [sample for each in rounds for sample in each.get(row.sample, ())]
    return row.statistic(samples) * row.scale if samples else None


def _text(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    digits = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{digits} {unit}".rstrip()


def cells(row: Row, ours: Rounds, peer: Rounds) -> tuple[str, ...] | None:
    """The line of a row; None when a peer it is about was not measured."""
    if row.peer and not any(row.sample in each for each in peer) and row.at_most is None:
        return None
    mine, theirs = _figure(row, ours), _figure(row, peer)
    pairs = [(_figure(row, [a]), _figure(row, [b])) for a, b in zip(ours, peer, strict=False)]
    ratios = [a / b for a, b in pairs if a is not None and b]
    # Of each round by itself: both sides then had the same machine.
    ratio = median(ratios) if ratios else None
    spread = f"({_text(min(ratios))}-{_text(max(ratios))})" if len(ratios) > 1 else ""
    limit = row.at_most if row.at_most is not None else row.at_least
    target = met = ""
    if limit is not None:
        sign = "<=" if row.at_most is not None else ">="
        target = f"{sign} {_text(limit, 'x' if row.ratio else row.unit)}"
        found = ratio if row.ratio else mine
        if found is None:
            met = "?"
        else:
            met = "yes" if (found <= limit if sign == "<=" else found >= limit) else "NO"
    return (
        row.what,
        _text(mine, row.unit),
        _text(theirs, row.unit) if row.peer else "",
        row.peer,
        f"{_text(ratio)}x" if ratio is not None else "",
        spread,
        target,
        met,
    )


def lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Set rows in columns, as a table that is one in Markdown too."""
    table = [HEAD, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    return [text[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *text[1:]]
