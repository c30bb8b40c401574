"""Instruction families of tables, rules and lists, for the embedded model and for real models."""
