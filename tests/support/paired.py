"""Paired outcomes of two arms by their table."""


def paired(only_base: int, only_sft: int, both: int = 0, neither: int = 0) -> tuple[list[bool], list[bool]]:
    """Outcomes of two arms with the given table."""
    cells = [
        ((True, False), only_base),
        ((False, True), only_sft),
        ((True, True), both),
        ((False, False), neither),
    ]
    items = [outcome for outcome, count in cells for _ in range(count)]
    return [base for base, _ in items], [sft for _, sft in items]
