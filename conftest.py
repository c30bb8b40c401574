pytest_plugins = ("ctai.pytest_plugin",)
