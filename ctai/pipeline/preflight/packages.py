"""Whether what is installed is what ctai needs: versions of packages, and whether they work on the device.

Owns these questions; what follows from the answers is `preflight`'s.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

from ctai.errors import short_error
from ctai.provenance import installed_version

# Large enough that bitsandbytes keeps 8-bit moments, and keeps them in pages.
_SIZE = 512
# 4 bits move a product by a tenth of its size, 8 bits a step by less; what is wrong moves them by all of it.
_TOLERANCE = 0.3


def needed() -> list[str]:
    """The requirements of ctai as it was installed; none if it runs from a folder without having been."""
    try:
        return requires("ctai") or []
    except PackageNotFoundError:
        return []


def version_problem(requirements: Iterable[str], installed: Callable[[str], str | None] = installed_version) -> str:
    """What is missing or of a version that does not fit, and what to install; empty if nothing is.

    Args:
        requirements: as in a package's metadata; those of extras are left out.
        installed: gives the version of a package.
    """
    wrong, install = [], []
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = installed(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found or 'is not installed'}")
            install.append(f"'{requirement.name}{requirement.specifier}'")
    return f"{', '.join(wrong)}: pip install {' '.join(install)}" if wrong else ""


def bfloat16_problem() -> str:
    """Why the CUDA device cannot compute in bfloat16, as every part of ctai does there; empty if it can."""
    import torch

    if torch.cuda.is_bf16_supported(including_emulation=False):
        return ""
    return "it does not compute in bfloat16: take a GPU of compute capability 8.0 or newer, such as A40, A100 or L40S"


def quantization_problem(device: str) -> str:
    """Compute with a 4-bit layer and train a weight with 8-bit moments on a device; why that fails, or empty."""
    try:
        wrong = _layer_in_4_bit(device) or _step_in_8_bit(device)
    except Exception as error:  # of a library that is built for another CUDA, or of the driver: of any class
        wrong = short_error(error)
    if not wrong:
        return ""
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "this device"
    return f"bitsandbytes does not work here ({wrong}): install a version of it that is built for {built}"


def _layer_in_4_bit(device: str) -> str:
    import torch
    from bitsandbytes.nn import Linear4bit

    numbers = torch.Generator().manual_seed(0)
    plain, inputs = torch.randn(_SIZE, _SIZE, generator=numbers), torch.randn(1, _SIZE, generator=numbers)
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # a layer begins with random numbers
        layer = Linear4bit(_SIZE, _SIZE, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
        layer.weight.copy_(plain)
        found = layer.to(device)(inputs.to(device, torch.bfloat16)).float().cpu()
    expected = inputs @ plain.T
    return "" if bool((found - expected).norm() <= _TOLERANCE * expected.norm()) else "a layer in 4 bit computes wrong"


def _step_in_8_bit(device: str) -> str:
    import torch
    from bitsandbytes.optim import PagedAdamW8bit

    weight = torch.nn.Parameter(torch.ones(_SIZE, _SIZE, device=device))
    weight.grad = torch.ones_like(weight)
    optimizer = PagedAdamW8bit([weight], lr=0.5, weight_decay=0.0)
    optimizer.step()
    # the first step of Adam is the rate, whatever the gradient
    return "" if bool(((weight - 0.5).abs() <= _TOLERANCE * 0.5).all()) else "a step of the 8-bit optimizer is wrong"
