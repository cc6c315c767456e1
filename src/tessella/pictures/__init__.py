"""Pictures of labels, mistakes, depth and motion: NumPy arrays in, 8-bit RGB arrays [H, W, 3] out."""

from tessella.pictures.contact_sheet import contact_sheet, legend
from tessella.pictures.depth import depth_picture
from tessella.pictures.difference import comparison, difference
from tessella.pictures.flow import flow_picture, flow_wheel
from tessella.pictures.label_map import colorize, contours, overlay
from tessella.pictures.label_png import save_label_png
from tessella.pictures.palette import default_palette
from tessella.pictures.rgb import to_rgb8

__all__ = [
    "colorize",
    "comparison",
    "contact_sheet",
    "contours",
    "default_palette",
    "depth_picture",
    "difference",
    "flow_picture",
    "flow_wheel",
    "legend",
    "overlay",
    "save_label_png",
    "to_rgb8",
]
