"""Reads what ``image_table.py`` wrote, for its table and ``image_figures.py``."""

import json
from collections import Counter
from functools import reduce
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "images"

Result = dict[str, Any]


def read(task: str) -> dict[str, list[Result]]:
    """Results by row; ``judged`` is true of those that most others share their judges with.

    Judges that were trained anew are told by what they read in the real images, which are the same.
    """
    results = [json.loads(file.read_text()) for file in sorted((RESULTS / task).glob("*.json"))]
    judges = [
        tuple(value for name, value in result["means"].items() if name.endswith("of the real image"))
        for result in results
    ]
    most_common = Counter(judges).most_common(1)[0][0] if judges else ()
    rows: dict[str, list[Result]] = {}
    for result, judge in zip(results, judges, strict=True):
        result["judged"] = judge == most_common
        rows.setdefault(result["row"], []).append(result)
    return rows


def judged(results: list[Result]) -> list[Result]:
    """Those whose judged scores compare."""
    return [result for result in results if result["judged"]]


def values(results: list[Result], *names: str) -> list[Any]:
    """What each holds under these names, one within the other; None where it holds no such thing."""

    def within(value: Any, name: str) -> Any:
        return value.get(name) if isinstance(value, dict) else None

    return [reduce(within, names, result) for result in results]
