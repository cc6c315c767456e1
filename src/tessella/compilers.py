"""Which compilers of our kernels are installed. Importing one takes half a second, so that is left to whoever calls."""

from importlib.util import find_spec

HAS_NUMBA = find_spec("numba") is not None
HAS_TRITON = find_spec("triton") is not None
