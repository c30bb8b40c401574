"""Pytest plugin of ctai: options, gate order, blocking, verdicts, JUnit properties and the terminal summary.

A root conftest loads it by this name. It imports no torch until a gate is about to run.
"""

pytest_plugins = ("ctai.pytest_plugin.hooks",)
