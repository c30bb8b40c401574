"""Answer the test set with each arm and compare the arms."""
