import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filestore.errors import PathTooDeep
from filestore.names import MAX_DEPTH, MAX_NAME, candidates, resolve, safe_name

NAMES = st.text() | st.text(alphabet="ab./\\\0 .é-", max_size=300) | st.sampled_from(["x" * 300 + ".tar.gz", "..."])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("diagnostics.zip", "diagnostics.zip"),
        ("diagnostics-2024-02-07T16:51:50.808ZblrG7o", "diagnostics-2024-02-07T16_51_50.808ZblrG7o"),
        ("/etc/passwd", "_etc_passwd"),
        ("../../x", "_.._x"),
        ("..", "_"),
        (".hidden", "hidden"),
        ("C:\\logs\\a b.txt", "C_logs_a_b.txt"),
        ("a\x00\n\u202eb", "a_b"),
        ("", "_"),
        ("x" * 300, "x" * 100),
        ("x" * 300 + ".zip", "x" * 96 + ".zip"),
    ],
)
def test_a_name_is_made_safe_for_a_path(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(NAMES)
def test_a_safe_name_is_short_plain_and_stays_as_it_is(name: str) -> None:
    safe = safe_name(name)

    assert 1 <= len(safe) <= MAX_NAME
    assert safe.isascii()
    assert safe.isprintable()
    assert "/" not in safe
    assert not safe.startswith(".")
    assert safe_name(safe) == safe


@given(NAMES)
def test_the_names_beside_a_taken_one_are_safe_and_all_different(name: str) -> None:
    offered = list(itertools.islice(candidates(safe_name(name)), 120))

    assert len(set(offered)) == 120
    assert [safe_name(each) for each in offered] == offered


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("log.zip", "log-1.zip"),
        ("log.tar.gz", "log-1.tar.gz"),
        ("log", "log-1"),
        ("diagnostics-16_51_50.808ZblrG7o", "diagnostics-16_51_50-1.808ZblrG7o"),
        ("x" * 96 + ".zip", "x" * 94 + "-1.zip"),
    ],
)
def test_the_suffix_stands_before_the_extension(name: str, beside: str) -> None:
    assert list(itertools.islice(candidates(name), 2)) == [name, beside]


@pytest.mark.parametrize(
    ("path", "names"),
    [("/a//b/./c/", "a b c"), ("../../a", "a"), ("a/../../b", "b"), ("a/b/..", "a"), ("", ""), ("/", "")],
)
def test_nothing_is_above_the_beginning_of_a_path(path: str, names: str) -> None:
    assert resolve(path.split("/")) == names.split()


def test_a_path_has_an_end() -> None:
    assert len(resolve(["a"] * MAX_DEPTH)) == MAX_DEPTH
    with pytest.raises(PathTooDeep):
        resolve(["a"] * (MAX_DEPTH + 1))
