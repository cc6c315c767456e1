"""Learnable dilated convolution, and anyone's model converted to it (thesis, chapter 4)."""

from tessella.dilation.convert import (
    RANGES,
    Decision,
    dilation_parameters,
    make_dilation_learnable,
    parameter_groups,
    plan_conversion,
)
from tessella.dilation.deploy import as_plain_convolutions, fold_dilation, round_dilation
from tessella.dilation.functional import learnable_dilated_conv2d
from tessella.dilation.layer import LearnableDilatedConv2d
from tessella.dilation.network import LearnableDilation

__all__ = [
    "RANGES",
    "Decision",
    "LearnableDilatedConv2d",
    "LearnableDilation",
    "as_plain_convolutions",
    "dilation_parameters",
    "fold_dilation",
    "learnable_dilated_conv2d",
    "make_dilation_learnable",
    "parameter_groups",
    "plan_conversion",
    "round_dilation",
]
