"""What generating images and generating features both need: U-Nets, patch discriminators, losses."""

from tessella.adversarial.bicycle import BicycleGAN, GanLosses
from tessella.adversarial.encoder import CodeEncoder
from tessella.adversarial.losses import kl_to_standard_normal, least_squares
from tessella.adversarial.patches import PatchDiscriminator
from tessella.adversarial.unet import UNet

__all__ = [
    "BicycleGAN",
    "CodeEncoder",
    "GanLosses",
    "PatchDiscriminator",
    "UNet",
    "kl_to_standard_normal",
    "least_squares",
]
