import pytest
import torch

from brainlm.errors import InputError
from brainlm.machine import choose_device


def test_a_named_device_is_taken():
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_is_a_gpu_if_there_is_one():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("found", [0, 1])
def test_a_gpu_that_is_not_there_is_an_error(monkeypatch, found):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    device, said = ("cuda", "no GPU") if found == 0 else ("cuda:1", "1 GPUs")
    with pytest.raises(
        InputError, match=f"{device} was asked for, but PyTorch finds {said}; use cpu or auto"
    ):
        choose_device(device)
