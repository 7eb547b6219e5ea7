"""A job does the same whoever starts it, and asks nobody: imported first, before libraries read their settings.

What is a person's own stays: proxies, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE, ~/.netrc, CUDA_VISIBLE_DEVICES, numbers of
threads. What files decide is reset where a library is used: matplotlib's settings by `figure_style`, zarr's by
`store`, pycortex's by `cortex_geometry`.
"""

import os
import sys
import warnings
from pathlib import Path

# How these variables begin: they change numbers, figures or stores, or which code runs, and no record names them.
CHANGING_RESULTS = (
    "DNNL_DEFAULT_FPMATH_MODE",
    "HIMALAYA_",
    "MATPLOTLIBRC",
    "MPL",
    "NPY_PROMOTION_STATE",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "PANDAS_",
    "PYTHONWARNINGS",
    "SCIPY_ARRAY_API",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "USE_HUB_KERNELS",
    "ZARR_",
)

for name in [name for name in os.environ if name.startswith(CHANGING_RESULTS)]:
    del os.environ[name]
# Matplotlib's list of fonts stays with the run: nothing is written to the home folder.
os.environ |= {"MPLBACKEND": "Agg", "MPLCONFIGDIR": str(Path(".snakemake", "matplotlib").resolve())}
# Nor is a warning an error because a variable says so.
if sys.warnoptions:
    warnings.resetwarnings()
# A question would wait for somebody who cannot see it, and take what happens to be typed for an answer.
with Path(os.devnull).open() as empty:
    os.dup2(empty.fileno(), 0)
