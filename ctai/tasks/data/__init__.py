"""Facts, word lists and labelled texts for instruction families and calibrations."""
