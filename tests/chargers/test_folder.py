"""The folder of files, where several write at once."""

from pathlib import Path

import pytest

from chargers import folder
from chargers.errors import FileExists


def test_of_two_who_put_a_file_at_once_one_is_refused(files_dir: Path) -> None:
    class Slow:
        """Content during whose reading somebody else is faster."""

        blocks = [b"mine", b""]

        def read(self, size: int) -> bytes:
            if not self.blocks[0]:
                (files_dir / "a.bin").write_bytes(b"theirs")
            return self.blocks.pop(0)

    with pytest.raises(FileExists):
        folder.store("a.bin", Slow())
    assert [path.name for path in files_dir.iterdir() if path.is_file()] == ["a.bin"]
    assert (files_dir / "a.bin").read_bytes() == b"theirs"
