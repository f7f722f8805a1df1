"""Any folder, put where the placeholder stood in a Python source, gives Python with that value."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from pack.literals import quote_safely

HOLDER = "/placehold/env"
PRINTABLE = st.characters(exclude_categories=["C", "Zl", "Zp"])
# What comes before and after the placeholder in the literal, and the quotes around it.
TAILS = st.text(PRINTABLE, max_size=20).filter(lambda text: '"""' not in text and not text.endswith(('"', "\\")))


@settings(max_examples=300)
@given(
    folder=st.text(PRINTABLE | st.sampled_from("'\" \\{}%é"), min_size=1)
    .map(lambda text: f"/{text}/rt/0a1b2c3d")
    .filter(
        lambda folder: '"""' not in folder  # tests/unit/pack/test_literals.py says what happens to those
    ),
    tail=TAILS,
    heading=st.text(PRINTABLE | st.sampled_from("\x0c\t"), max_size=20),
)
def test_any_folder_fits(folder: str, tail: str, heading: str) -> None:
    source = f"# {heading}\nx = {HOLDER + tail!r}\n".encode()
    moved = quote_safely(source, HOLDER).replace(HOLDER.encode(), folder.encode())
    found = ast.parse(moved).body[0]
    assert isinstance(found, ast.Assign)
    assert ast.literal_eval(found.value) == folder + tail
