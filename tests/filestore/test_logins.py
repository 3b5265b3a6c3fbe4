from filestore.logins import MAX_ADDRESSES, FailedLogins


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_address_that_tries_many_passwords_is_blocked_for_a_while() -> None:
    clock = Clock()
    failed = FailedLogins(limit=3, period=60, clock=clock)
    for number in range(3):
        assert failed.blocked("10.0.0.1") == 0
        failed.add("10.0.0.1", b"ov2xmp", b"%d" % number)
        clock.now += 10

    assert failed.blocked("10.0.0.1") == 30
    assert failed.blocked("10.0.0.2") == 0
    clock.now += 31
    assert failed.blocked("10.0.0.1") == 0


def test_the_same_wrong_password_again_and_again_blocks_nobody() -> None:
    failed = FailedLogins(limit=2, period=60)
    for _ in range(100):
        failed.add("10.0.0.1", b"ov2xmp", b"old password")

    assert failed.blocked("10.0.0.1") == 0


def test_the_addresses_that_are_remembered_have_a_limit() -> None:
    failed = FailedLogins(limit=1, period=60)
    for number in range(MAX_ADDRESSES + 1):
        failed.add(str(number), b"", b"")

    assert failed.blocked("0") == 0
    assert failed.blocked("1") > 0


def test_what_was_tried_cannot_be_read_from_memory() -> None:
    failed = FailedLogins(limit=1, period=60)
    failed.add("10.0.0.1", b"ov2xmp", b"hunter2")

    assert "hunter2" not in repr(vars(failed))
