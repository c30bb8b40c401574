"""The pytest plugin of ctai: options, gate order, blocking, verdicts, JUnit properties and the summary.

A root conftest loads it by this name. It imports nothing heavy until a gate is about to run.
"""

pytest_plugins = ("ctai.pytest_plugin.hooks",)
