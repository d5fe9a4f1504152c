"""Hardware by its words."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dyadic.errors import UserError
from dyadic.training import hardware
from dyadic.training.hardware import Hardware, keep_memory, physical_cores


def test_auto_is_every_physical_core_and_the_record_has_the_number() -> None:
    assert 1 <= Hardware().resolved_threads == physical_cores()
    assert f"{physical_cores()} threads" in Hardware(accelerator="cpu").describe()
    assert [Hardware(threads=n).resolved_threads for n in (1, 3)] == [1, 3]


@pytest.mark.parametrize("threads", [0, -1, "two", 1.5])
def test_other_numbers_of_threads_are_refused(threads: Any) -> None:
    with pytest.raises(UserError, match="use auto, or at least 1"):
        Hardware(threads=threads)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(UserError, match="precision=16-mixed; use auto, 32-true or bf16-mixed"):
        Hardware(precision="16-mixed")


@pytest.mark.parametrize(("has", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_bf16_where_the_processor_has_it(monkeypatch, has: bool, precision: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(hardware, "features", lambda: {"avx512_bf16"} if has else {"avx512"})
    assert Hardware().resolved_precision == precision
    assert Hardware(precision="32-true").resolved_precision == "32-true"
    assert Hardware(precision="bf16-mixed").resolved_precision == "bf16-mixed"


@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize(
    ("accelerator", "wanted"), [("auto", True), ("gpu", True), ("cuda", True), ("cpu", False)]
)
def test_the_device_is_the_accelerator_where_there_is_one(
    monkeypatch, found: bool, accelerator: str, wanted: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    ours = Hardware(accelerator=accelerator)
    assert ours.device.type == ("cuda" if found and wanted else "cpu")
    assert (ours.describe() == "H100") == (found and wanted)
    two = Hardware(accelerator=accelerator, devices=2)
    assert two.describe() == f"2 x {ours.describe()}"


def test_two_threads_of_one_core_count_once(monkeypatch, tmp_path) -> None:
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        file = tmp_path / f"cpu{cpu}/topology/thread_siblings_list"
        file.parent.mkdir(parents=True)
        file.write_text(siblings)
    monkeypatch.setattr(hardware, "Path", lambda path: tmp_path)
    for mine, cores in (({0}, 1), ({0, 2}, 1), ({0, 1, 2}, 2), ({3, 8, 9}, 3)):
        monkeypatch.setattr("os.sched_getaffinity", lambda pid, mine=mine: {0: mine}[pid])
        assert physical_cores() == cores
    monkeypatch.delattr("os.sched_getaffinity")
    for count, cores in ((6, 6), (None, 1)):
        monkeypatch.setattr("os.cpu_count", lambda count=count: count)
        assert physical_cores() == cores


@pytest.mark.parametrize(("library", "calls"), [("glibc", [(-4, 0), (-1, 2**31 - 1)]), ("", [])])
def test_glibc_alone_is_told_to_keep_memory(monkeypatch, library: str, calls: list) -> None:
    """M_MMAP_MAX = 0: nothing is mapped; M_TRIM_THRESHOLD: nothing is given back."""
    told = []
    libc = SimpleNamespace(mallopt=lambda *arguments: told.append(arguments))
    monkeypatch.setattr("ctypes.CDLL", lambda name: libc)
    monkeypatch.setattr("platform.libc_ver", lambda: (library, "2.36"))
    keep_memory()
    assert told == calls


@pytest.mark.parametrize("devices", [1, 2])
def test_several_devices_are_launched_and_the_threads_are_ours(monkeypatch, devices: int) -> None:
    told: list[Any] = []

    class Launched:
        def __init__(self, **options: Any) -> None:
            self.options = options

        def launch(self) -> None:
            told.append(self.options)

    monkeypatch.setattr(hardware, "Fabric", Launched)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    Hardware("cpu", devices, "ddp", threads=3).launch()
    launched = {"accelerator": "cpu", "devices": 2, "strategy": "ddp"}
    assert told == ([3] if devices == 1 else [launched, 3])
