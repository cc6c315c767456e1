"""What the server's page shows of one picture."""

import base64
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from tessella.pictures import colorize, overlay
from tessella.serving.answers import Served


def shown(
    served: Served, image: UInt8[np.ndarray, "height width 3"], answer: Tensor, before: Tensor | None
) -> dict[str, Any]:
    """Overlays as data URLs, the classes that occur with their share, and how much the defences changed.

    answer: of ``served.answer`` for this picture; before: its label map behind the defences, None if nobody may see it.
    """
    after = (answer.argmax(1) if served.posteriors else answer)[0].numpy()
    number, count = np.unique(after, return_counts=True)
    order = np.argsort(-count)
    noisy = before is not None  # contours of noise would hide it
    result: dict[str, Any] = {
        "segmentation": _data_url(overlay(image, after, served.palette, draw_contours=not noisy)),
        "classes": [
            {
                "name": served.classes[number[i]],
                "colour": served.palette[number[i]].tolist(),
                "share": round(float(count[i] / after.size), 4),
            }
            for i in order
        ],
    }
    if before is not None:
        undefended = before[0].numpy()
        changed = undefended != after
        result["before"] = _data_url(overlay(image, undefended, served.palette, draw_contours=False))
        colours = colorize(after, served.palette)
        result["changes"] = _data_url(np.where(changed[..., None], colours, image // 3))
        result["changed"] = round(float(changed.mean()), 4)
    return result


def _data_url(picture: np.ndarray) -> str:
    good, code = cv2.imencode(".png", picture[..., ::-1])
    assert good
    return "data:image/png;base64," + base64.b64encode(code.tobytes()).decode()
