"""Evaluation: answers of each arm to the test set, and the comparison of the arms."""
