"""What a job finds around it is the same whoever starts it, so that it does the same."""

from collections.abc import MutableMapping

# How variables begin that change numbers, figures, stores or the code that runs, and that no record names. What is a
# person's own stays: proxies, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE, CUDA_VISIBLE_DEVICES, numbers of threads.
CHANGING_RESULTS = (
    "DNNL_DEFAULT_FPMATH_MODE",
    "HIMALAYA_",
    "MATPLOTLIBRC",
    "MPL",
    "NPY_PROMOTION_STATE",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "PANDAS_",
    "PYTHONOPTIMIZE",
    "PYTHONWARNINGS",
    "SCIPY_ARRAY_API",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "USE_HUB_KERNELS",
    "ZARR_",
)
OWN = {
    "MPLBACKEND": "Agg",
    # Matplotlib's list of fonts stays with the run: nothing is written to the home folder.
    "MPLCONFIGDIR": ".snakemake/matplotlib",
    # Files are UTF-8 for every library, whatever the locale.
    "PYTHONUTF8": "1",
}


def settle(environment: MutableMapping[str, str]) -> None:
    """Take out of an environment what would change results, and put in what jobs need.

    What files decide instead is reset where a library is used: matplotlib's settings by `brainlm.report.style`,
    zarr's by `brainlm.store`, pycortex's by `brainlm.cortex.geometry`.
    """
    for name in [name for name in environment if name.startswith(CHANGING_RESULTS)]:
        del environment[name]
    environment.update(OWN)
