"""Rows of pictures: an image, its truth, what two runs made of it, and which of them is right where (figure 4.4)."""

import numpy as np
from PIL import Image

from tessella.pictures.difference import GREY, WHITE, comparison
from tessella.reports.embed import PictureRow, data_uri, read_picture, thumbnail
from tessella.reports.run import Evaluation

WIDTH = 360


def panels(
    reference: Evaluation, other: Evaluation, names: tuple[str, str], limit: int = 6
) -> list[PictureRow]:
    """The images that both evaluations pictured, the reference's worst first."""
    result: list[PictureRow] = []
    for image_id in reference.pictured_ids():
        files = [evaluation.picture(image_id, "difference") for evaluation in (reference, other)]
        if len(result) < limit and all(file.is_file() for file in files):
            first, second = (read_picture(file) for file in files)
            if first.shape == second.shape:
                pictures = {
                    "Image": thumbnail(reference.picture(image_id, "image"), WIDTH),
                    "Ground truth": thumbnail(reference.picture(image_id, "truth"), WIDTH),
                    names[0]: thumbnail(reference.picture(image_id, "prediction"), WIDTH),
                    names[1]: thumbnail(other.picture(image_id, "prediction"), WIDTH),
                    "Who is right": data_uri(Image.fromarray(_who_is_right(first, second)), WIDTH),
                }
                result.append(PictureRow(image_id, pictures))
    return result


def _who_is_right(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """From two pictures of the differences to the truth, white where right and grey where it is ignored."""
    first_wrong, second_wrong = ((picture != WHITE).any(-1).astype(np.uint8) for picture in (first, second))
    target = np.where((first == GREY).all(-1), np.uint8(255), np.uint8(0))
    return comparison(first_wrong, second_wrong, target)
