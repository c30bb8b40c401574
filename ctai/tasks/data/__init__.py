"""The facts, words and labelled texts that instruction families and calibrations are made of."""
