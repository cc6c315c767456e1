"""What every page shares: templates, how numbers are written, and saving."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tessella.files import write_text

METRICS = {
    "mean_iou": "Mean IoU",
    "pixel_accuracy": "Pixel accuracy",
    "class_accuracy": "Class accuracy",
    "frequency_weighted_iou": "Frequency-weighted IoU",
    "ece": "Calibration error (ECE)",
}
"""The headline numbers in the order in which they are shown; all are shares of 1."""

LOWER_IS_BETTER = {"ece"}


def percent(value: float | None) -> str:
    """A share of 1 in percent with one decimal, without the sign; "–" for nan, which is null in a file."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def signed_percent(value: float) -> str:
    """A difference of shares in percentage points with its sign; "–" for nan."""
    return "–" if math.isnan(value) else f"{100 * value:+.1f}".replace("-", "−")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and texts: ``{"optimizer": {"rate": 1}}`` gives ``optimizer.rate``."""
    flat: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            flat[prefix + name] = ", ".join("–" if item is None else str(item) for item in value) or "–"
        else:
            flat[prefix + name] = "–" if value is None or value == {} else str(value)
    return flat


def save_page(template: str, out: Path, **content: Any) -> Path:
    """Fills a template and puts the page in place in one step; returns ``out``."""
    environment = Environment(
        loader=PackageLoader("tessella.reports"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(percent=percent, signed_percent=signed_percent)
    page = environment.get_template(template).render(metric_names=METRICS, **content)
    write_text(out, page)
    return out
