"""Language models: loading (`loader`), checks (`checks`) and inference (`inference`).

Nothing is imported here, so that `ctai.model.checks.contamination` can be used without torch.
"""

import logging

# On some processors bitsandbytes warns while it is imported that an optional kernel is missing, which ctai does not use.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
