"""Coordinates of a drawing, and floats of every kind to draw."""

import xml.etree.ElementTree as ElementTree

from hypothesis import strategies as st

ANY_FLOAT = st.floats() | st.integers(-10, 10_000).map(float) | st.floats(0, 1)


def coordinates(markup: str) -> list[float]:
    """All x coordinates of a drawing; not a number or an unknown entity raises."""
    root = ElementTree.fromstring(markup)
    names = ("x", "x1", "x2", "cx", "width")
    found = [float(value) for element in root.iter() for name in names if (value := element.get(name)) is not None]
    points = [pair.split(",")[0] for element in root.iter() for pair in (element.get("points") or "").split()]
    return found + [float(x) for x in points]
