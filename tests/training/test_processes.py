"""Who is the first process, and who holds a lock."""

import stat

import pytest
from pytorch_lightning.utilities import rank_zero_only

from dyadic.errors import UserError
from dyadic.training.processes import alone, from_first, is_first, locked


def test_a_run_alone_is_its_own_first_process(monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    assert not is_first()
    alone()
    assert is_first()
    assert from_first("mine") == "mine"


def test_only_the_first_process_takes_the_lock(monkeypatch, tmp_path):
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    with locked(tmp_path / "a" / "lock", "waiting"):
        assert not (tmp_path / "a").exists()


def test_a_lock_is_for_all_users_of_its_group_and_is_freed_whatever_happens(tmp_path, caplog):
    path = tmp_path / "a" / "b" / "lock"

    def fail() -> None:
        with locked(path, "waiting"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o664
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for _ in range(2):
        with locked(path, "waiting"):
            pass
    assert "waiting" not in caplog.text


def test_what_cannot_be_locked_is_named_with_the_reason(tmp_path):
    with (
        pytest.raises(
            UserError, match=r"cannot be locked \(Is a directory\); is it another user's"
        ),
        locked(tmp_path, "waiting"),
    ):
        pass
