"""Arrays that are kept on a device: made once, right for whoever asks next."""

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from rwsr.eval.images import kept as module
from rwsr.eval.images.kept import kept, row

CPU = torch.device("cpu")


def test_what_was_made_once_is_given_again() -> None:
    made: list[int] = []

    def numbers(count: int) -> np.ndarray:
        made.append(count)
        return np.arange(count)

    first = kept(numbers, 3, device=CPU, dtype=torch.float32)
    assert kept(numbers, 3, device=CPU, dtype=torch.float32) is first and first.tolist() == [0, 1, 2]
    assert kept(numbers, 3, device=CPU).dtype == torch.int64 and kept(numbers, 4, device=CPU).tolist() == [0, 1, 2, 3]
    assert made == [3, 3, 4]


def test_what_was_first_asked_for_while_restoring_is_trained_through() -> None:
    with torch.inference_mode():
        row(0.1234, like=torch.zeros(1))
    image = torch.ones(1, 2, 2, requires_grad=True)
    (image * row(0.1234, like=image)).sum().backward()
    assert image.grad is not None and torch.allclose(image.grad, torch.full((1, 2, 2), 0.1234))


def test_tensors_without_numbers_are_kept_apart() -> None:
    with FakeTensorMode():
        assert isinstance(row(0.5, 0.25, like=torch.zeros(1)), FakeTensor)
    assert row(0.5, 0.25, like=torch.zeros(1)).flatten().tolist() == [0.5, 0.25]


def test_no_more_are_kept_than_so_many() -> None:
    for size in range(600):
        kept(np.zeros, size, device=CPU)
    assert len(module._kept) <= 256
