"""Instruction families: tables, rules and lists, for the embedded model and for real ones."""
