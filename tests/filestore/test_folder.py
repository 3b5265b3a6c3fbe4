import errno
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from filestore import folder as module
from filestore.errors import InTheWay, Missing, NoSpace, NotResumable, TooLarge
from filestore.folder import SWEEP_GRACE, UPLOADS, Folder, Upload


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "files", kind="test", max_size=10_000, min_free=0)
    made.prepare()
    return made


@pytest.fixture
def upload(folder: Folder) -> Iterator[Upload]:
    begun = folder.begin(["logs", "a.zip"], resumable=True)
    yield begun
    begun.discard()


def visible(folder: Folder) -> list[str]:
    paths = (path.relative_to(folder.root) for path in folder.root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if path.parts[0] != UPLOADS)


def temporary(folder: Folder) -> list[Path]:
    return list((folder.root / UPLOADS).iterdir())


def stored(folder: Folder, path: str, content: bytes = b"content") -> str:
    upload = folder.begin(path.split("/"))
    upload.write(content)
    return upload.commit()


def test_a_file_is_there_once_it_is_whole(folder: Folder, upload: Upload) -> None:
    upload.write(b"half")
    assert not (folder.root / "logs").exists()

    assert upload.commit() == "logs/a.zip"

    assert (folder.root / "logs/a.zip").read_bytes() == b"half"
    assert not temporary(folder)


def test_no_file_is_overwritten(folder: Folder) -> None:
    assert [stored(folder, "a.zip", b"%d" % number) for number in range(3)] == ["a.zip", "a-1.zip", "a-2.zip"]
    assert [(folder.root / name).read_bytes() for name in ("a.zip", "a-1.zip", "a-2.zip")] == [b"0", b"1", b"2"]


def test_uploads_of_one_name_at_the_same_time_are_all_kept(folder: Folder) -> None:
    def one(number: int) -> str:
        upload = folder.begin(["a.zip"], resumable=True)
        upload.write(b"%d" % number)
        return upload.commit()

    with ThreadPoolExecutor(16) as pool:
        paths = list(pool.map(one, range(120)))

    assert len(set(paths)) == 120
    assert [(folder.root / path).read_bytes() for path in paths] == [b"%d" % number for number in range(120)]


def test_a_file_that_has_its_name_is_not_taken_for_its_interrupted_upload(
    folder: Folder, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server may have opened the temporary file a moment before it got its name."""
    real, finished = module.fcntl.flock, []

    def flock(handle: int, operation: int) -> None:
        if not finished:
            finished.append(upload.commit())
        real(handle, operation)

    upload.write(b"whole")
    monkeypatch.setattr(module.fcntl, "flock", flock)
    again = folder.begin(["logs", "a.zip"], resumable=True)
    again.write(b"again")

    assert again.commit() == "logs/a-1.zip"
    assert (folder.root / "logs/a.zip").read_bytes() == b"whole"


def test_uploads_go_on_when_somebody_has_tidied_up(folder: Folder) -> None:
    (folder.root / UPLOADS).rmdir()

    assert stored(folder, "a.zip") == "a.zip"


def test_a_disk_without_hard_links_overwrites_nothing_either(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(module.os, "link", link)

    assert [stored(folder, "a.zip", content) for content in (b"1", b"2")] == ["a.zip", "a-1.zip"]
    assert (folder.root / "a.zip").read_bytes() == b"1"
    assert (folder.root / "a-1.zip").read_bytes() == b"2"
    assert not temporary(folder)


def test_what_is_given_up_leaves_nothing(folder: Folder, upload: Upload) -> None:
    upload.write(b"half")
    upload.discard()

    assert list(folder.root.rglob("*")) == [folder.root / UPLOADS]


def test_an_upload_that_is_too_large_is_refused(folder: Folder, upload: Upload) -> None:
    upload.write(b"x" * 10_000)
    with pytest.raises(TooLarge, match="10000 bytes"):
        upload.write(b"x")


def test_what_uploads_must_leave_free_is_left(tmp_path: Path) -> None:
    folder = Folder(tmp_path, kind="test", max_size=1, min_free=2**62)
    folder.prepare()

    with pytest.raises(NoSpace):
        folder.begin(["a.zip"])
    assert not temporary(folder)


def test_the_disk_is_looked_at_during_an_upload(tmp_path: Path) -> None:
    folder = Folder(tmp_path, kind="test", max_size=2**40, min_free=0)
    folder.prepare()
    upload = folder.begin(["a.zip"])
    folder.min_free = 2**62

    upload.write(b"x" * (2**20 - 1))
    with pytest.raises(NoSpace):
        upload.write(b"x")
    upload.discard()


@pytest.mark.parametrize("path", [["a"], ["a", "b", "c"]])
def test_a_file_where_a_folder_must_be_is_in_the_way(folder: Folder, path: list[str]) -> None:
    stored(folder, "a")

    with pytest.raises(InTheWay, match="a is a file, not a folder"):
        folder.begin([*path, "d"])


def test_a_folder_where_a_file_must_be_is_in_the_way(folder: Folder) -> None:
    stored(folder, "a/b")

    with pytest.raises(InTheWay, match="a is a folder, not a file"):
        folder.begin(["a"])


def test_a_folder_that_comes_during_an_upload_is_in_the_way_at_its_end(folder: Folder, upload: Upload) -> None:
    (folder.root / "logs/a.zip").mkdir(parents=True)

    with pytest.raises(InTheWay):
        upload.commit()


def test_a_link_that_leads_out_is_neither_read_nor_written(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder.root / "out").symlink_to(tmp_path)
    (folder.root / "secret").symlink_to(tmp_path / "secret")

    for names in (["out", "secret"], ["secret"]):
        with pytest.raises(Missing):
            folder.locate(names)
    with pytest.raises(InTheWay):
        folder.begin(["out", "new"])
    assert stored(folder, "secret") == "secret-1"


@pytest.mark.parametrize(
    "names", [[UPLOADS], [".hidden"], ["a", ".b"], ["\0"], ["x" * 300], ["..", "a"], ["a/../.hidden"]]
)
def test_hidden_and_impossible_names_are_not_found(folder: Folder, names: list[str]) -> None:
    (folder.root / ".hidden").write_text("hidden")
    (folder.root / "a").mkdir()

    with pytest.raises(Missing):
        folder.locate(names)


def test_a_file_is_found_by_the_name_that_it_was_sent_with(folder: Folder) -> None:
    path = folder.root / stored(folder, "CP:1/a b.zip")

    assert path == folder.root / "CP_1/a_b.zip"
    assert folder.locate(["CP:1", "a b.zip"]) == path
    assert folder.locate(["CP_1", "a_b.zip"]) == path


def test_a_name_that_an_operator_gave_is_found_as_it_is(folder: Folder) -> None:
    (folder.root / "Firmware für A.bin").touch()

    assert folder.locate(["Firmware für A.bin"]).exists()


# Interrupted uploads


def test_an_interrupted_upload_goes_on(folder: Folder, upload: Upload) -> None:
    upload.write(b"0123456789")
    upload.keep()
    assert visible(folder) == []
    assert folder.interrupted_size(["logs", "a.zip"]) == 10

    resumed = folder.resume(["logs", "a.zip"], 5)
    resumed.write(b"abc")

    assert resumed.commit() == "logs/a.zip"
    assert (folder.root / "logs/a.zip").read_bytes() == b"01234abc"
    assert folder.interrupted_size(["logs", "a.zip"]) is None


def test_an_upload_that_has_not_come_that_far_does_not_go_on(folder: Folder, upload: Upload) -> None:
    upload.write(b"0123")
    upload.keep()

    with pytest.raises(NotResumable, match="4 bytes only"):
        folder.resume(["logs", "a.zip"], 5)
    assert folder.interrupted_size(["logs", "a.zip"]) == 4


def test_an_upload_that_is_still_running_is_no_interrupted_one(folder: Folder, upload: Upload) -> None:
    upload.write(b"0123")

    with pytest.raises(NotResumable):
        folder.resume(["logs", "a.zip"])


def test_an_upload_that_begins_anew_takes_the_interrupted_ones_place(folder: Folder, upload: Upload) -> None:
    upload.write(b"0123")
    upload.keep()

    again = folder.begin(["logs", "a.zip"], resumable=True)
    again.write(b"9")
    again.commit()

    assert (folder.root / "logs/a.zip").read_bytes() == b"9"
    assert not temporary(folder)


def test_what_a_killed_server_left_is_swept_away_when_it_is_old(folder: Folder, upload: Upload) -> None:
    old = time.time() - SWEEP_GRACE - 10
    left = folder.root / UPLOADS / "test-left"
    others = folder.root / UPLOADS / "other-left"
    fresh = folder.root / UPLOADS / "test-fresh"
    for path in (left, others, fresh):
        path.touch()
    for path in (left, others, *temporary(folder)):
        if path != fresh:
            os.utime(path, (old, old))

    assert folder.sweep(keep=SWEEP_GRACE + 60) == 0
    assert folder.sweep() == 1

    assert not left.exists()
    # Another server's, a young one, and one that is being written.
    assert others.exists()
    assert fresh.exists()
    upload.write(b"still here")
    upload.commit()


# Folders and names


def test_a_folder_may_be_made_twice(folder: Folder) -> None:
    assert folder.make_folder(["a", "b:c"]) == folder.make_folder(["a", "b:c"]) == folder.root / "a/b_c"


def test_a_file_gets_no_name_that_is_taken(folder: Folder) -> None:
    stored(folder, "a", b"a")
    stored(folder, "b", b"b")

    with pytest.raises(InTheWay, match="b is there already"):
        folder.rename(folder.locate(["a"]), ["b"])
    folder.rename(folder.locate(["a"]), ["c", "d"])

    assert visible(folder) == ["b", "c/d"]
