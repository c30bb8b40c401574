"""Models: loading (`loader`), checks (`contamination`), behaviour (`sentinels`), and running them (`engine`).

Nothing is imported here, so that `ctai.model.checks.contamination` can be used without torch.
"""

import logging

# On some processors bitsandbytes warns while it is imported that an optional kernel is missing, which ctai does not use.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
