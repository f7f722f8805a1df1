"""Whatever is packed comes out again: by the launcher's restore, and by plain zstd and tar."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.manifest import Kind
from launcher.paths import check_paths
from launcher.platforms import Platform
from tests.builders.sources import expected, file, folder, link, pack_sources, restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pack.source import Source

NAMES = st.text(st.characters(exclude_categories=["C"], exclude_characters="/\\"), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."} and len(name.encode()) < 200
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
# Sizes around those of blocks and frames, where offsets go wrong.
BYTES = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 9000).map(lambda size: bytes(number % 251 for number in range(size))),
    st.sampled_from([511, 512, 513, 1023, 1024, 1025, 3584, 4096]).map(bytes),
)
PACKAGES = st.sampled_from(["", "a", "b", "ü"])
SOURCES = st.one_of(
    st.builds(file, PATHS, BYTES, PACKAGES, mode=st.sampled_from([0o644, 0o755]), relocated=st.booleans()),
    st.builds(link, PATHS, PATHS, PACKAGES),
    st.builds(folder, PATHS, PACKAGES),
)


def is_sound(sources: Sequence[Source]) -> bool:
    rows = ((source.path, source.kind is Kind.FOLDER, source.target) for source in sources)
    return check_paths(rows, Platform.LINUX_64) is None


@settings(max_examples=150, deadline=None)
@given(
    sources=st.lists(SOURCES, max_size=12, unique_by=lambda source: source.path).filter(is_sound),
    frame_size=st.sampled_from([512, 1000, 1024, 4096, 100_000]),
    part_size=st.sampled_from([64, 100, 1000, 10**6]),
)
def test_any_sources_round_trip(sources: list[Source], frame_size: int, part_size: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        place, slot = Path(scratch, "archive"), Path(scratch, "slot")
        resources, index = pack_sources(place, sources, frame_size=frame_size, part_size=part_size)
        assert all(frame.length <= frame_size for frame in index.frames)
        assert restored(resources, index, slot) == expected(sources)

        joined = b"".join((place / part.name).read_bytes() for part in resources.manifest.parts)
        plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(joined), read_across_frames=True).read()
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            members = {member.name: member for member in tar}
            assert members.keys() == {source.path for source in sources}
            for source in sources:
                member = members[source.path]
                assert member.mode == source.mode
                assert member.linkname == source.target
                if source.kind is Kind.FILE:
                    extracted = tar.extractfile(member)
                    assert extracted is not None
                    assert extracted.read() == source.read()
