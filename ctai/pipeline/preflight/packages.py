"""Checks of the installed packages: their versions, and trials of bitsandbytes and bfloat16 on the device.

Names problems. Does not decide about a run (`ctai.pipeline.preflight.checks`).
"""

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

from ctai.errors import short_error
from ctai.provenance import installed_version

# Large enough for bitsandbytes to keep 8-bit moments in paged memory.
_SIZE = 512
# Relative error: a 4-bit product is off by about 0.1, an 8-bit step by less, a wrong result by about 1.
_TOLERANCE = 0.3


def package_requirements() -> list[str]:
    """Return the requirements of ctai as it was installed; none if it was not installed."""
    try:
        return requires("ctai") or []
    except PackageNotFoundError:
        return []


def version_problem(requirements: Iterable[str], installed: Callable[[str], str | None] = installed_version) -> str:
    """Return the missing or unfit packages with the command that installs them; empty if there are none.

    Args:
        requirements: as in the metadata of a package; those of extras are skipped.
        installed: returns the version of a package, or None.
    """
    wrong, install = [], []
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = installed(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version or 'is not installed'}")
            install.append(f"'{requirement.name}{requirement.specifier}'")
    return f"{', '.join(wrong)}. Run pip install {' '.join(install)}" if wrong else ""


def bfloat16_problem() -> str:
    """Return an error if the CUDA device cannot compute in bfloat16, the dtype of ctai on CUDA; empty if it can."""
    import torch

    if torch.cuda.is_bf16_supported(including_emulation=False):
        return ""
    return "no support of bfloat16. Take a GPU of compute capability 8.0 or newer, such as A40, A100 or L40S"


def quantization_problem(device: str) -> str:
    """Try a 4-bit layer and a step of the 8-bit optimizer on a device; return the error, or empty."""
    try:
        error_message = _layer_in_4_bit(device) or _step_in_8_bit(device)
    except Exception as error:  # any class: a library that is built for another CUDA, or the driver
        error_message = short_error(error)
    if not error_message:
        return ""
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "this device"
    return f"bitsandbytes does not work here ({error_message}). Install a version of it that is built for {built}"


def _layer_in_4_bit(device: str) -> str:
    import torch
    from bitsandbytes.nn import Linear4bit

    numbers = torch.Generator().manual_seed(0)
    plain, inputs = torch.randn(_SIZE, _SIZE, generator=numbers), torch.randn(1, _SIZE, generator=numbers)
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # a layer begins with random numbers
        layer = Linear4bit(_SIZE, _SIZE, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
        layer.weight.copy_(plain)
        product = layer.to(device)(inputs.to(device, torch.bfloat16)).float().cpu()
    expected = inputs @ plain.T
    return (
        ""
        if bool((product - expected).norm() <= _TOLERANCE * expected.norm())
        else "a 4-bit layer computes wrong values"
    )


def _step_in_8_bit(device: str) -> str:
    import torch
    from bitsandbytes.optim import PagedAdamW8bit

    weight = torch.nn.Parameter(torch.ones(_SIZE, _SIZE, device=device))
    weight.grad = torch.ones_like(weight)
    optimizer = PagedAdamW8bit([weight], lr=0.5, weight_decay=0.0)
    optimizer.step()
    # the first step of Adam is the learning rate, whatever the gradient
    return (
        ""
        if bool(((weight - 0.5).abs() <= _TOLERANCE * 0.5).all())
        else "a step of the 8-bit optimizer computes wrong values"
    )
