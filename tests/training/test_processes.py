"""Who is the first process, and who holds a lock."""

import errno
import stat

import pytest
from filelock import FileLock
from pytorch_lightning.utilities import rank_zero_only

from dyadic.errors import UserError
from dyadic.training import processes
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


def test_a_lock_is_for_all_users_of_its_group_and_is_freed_whatever_happens(tmp_path, monkeypatch):
    path, kept = tmp_path / "a" / "b" / "lock", []

    def keeping(*arguments, **options) -> FileLock:
        kept.append(FileLock(*arguments, **options))  # or it would be freed with its last name
        return kept[-1]

    monkeypatch.setattr(processes, "FileLock", keeping)

    def fail() -> None:
        with locked(path, "waiting"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o664
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not kept[0].is_locked
    with locked(path, "waiting"):
        assert kept[1].is_locked


@pytest.mark.parametrize(
    ("name", "reason"), [("", "Is a directory"), ("file/lock", "File exists|Not a directory")]
)
def test_what_cannot_be_locked_is_named_with_the_reason(tmp_path, name, reason):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=rf"cannot be locked \(({reason})\); is it another user's"),
        locked(tmp_path / name, "waiting"),
    ):
        pass


def test_the_value_of_the_first_process_is_everyone_s(monkeypatch):
    def broadcast(box: list) -> None:
        box[0] = "the first's"

    monkeypatch.setattr(processes.dist, "is_available", lambda: True)
    monkeypatch.setattr(processes.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(processes.dist, "broadcast_object_list", broadcast)
    assert from_first("mine") == "the first's"


def test_where_the_file_system_has_no_locks_none_is_pretended(monkeypatch, tmp_path):
    """A file that stands for a lock would outlive a killed process."""

    def missing(*arguments):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", missing)
    with (
        pytest.raises(UserError, match="cannot be locked"),
        locked(tmp_path / "lock", "waiting"),
    ):
        pass
