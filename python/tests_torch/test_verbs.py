"""Requests as the driver sends them."""

import pytest
import torch
from conftest import FIXTURES, message, sequences, settings
from tercet.torch.ranks import Ranks
from tercet.torch.verbs import Worker
from tercet.torch.wire import decode, encode


@pytest.fixture
def worker():
    worker = Worker(Ranks(), settings())
    ask(worker, {"verb": "open", "folder": str(FIXTURES / "qwen2_tied_gqa"), "eos": None})
    return worker


def ask(worker, head, tensors=None):
    return decode(worker.job(encode({"model": 1} | head, tensors), lambda lengths: None))


def test_running_out_of_memory_is_named_with_what_helps_and_the_worker_goes_on(worker, monkeypatch):
    batch = message(sequences(50, [9, 4]))
    before = ask(worker, {"verb": "logprobs", "temperature": 1.0}, batch)[1]["logprobs"]
    gradient = {"gradient": torch.full((13,), -1.0)}
    with monkeypatch.context() as full:
        def forward(**_):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore words.")
        full.setattr(worker.models[1].module, "forward", forward)
        head, _ = ask(worker, {"verb": "forward_backward", "temperature": 1.0}, batch | gradient)
    assert head["error"] == "memory"
    assert head["message"].startswith("CUDA out of memory. Tried to allocate 2.00 GiB. Lower the recipe's `micro_tokens`, or ")
    assert torch.equal(ask(worker, {"verb": "logprobs", "temperature": 1.0}, batch)[1]["logprobs"], before)
    # The gradient that was lost with it does not count.
    assert ask(worker, {"verb": "optim_step", "adamw": dict(lr=1, beta1=0.9, beta2=0.9, eps=1e-8, weight_decay=0, clip_norm=1)})[1]["grad_norm"] == 0


def test_equal_weights_score_equally_to_the_bit(worker):
    """The policy and its reference are equal at first: a KL term must find no difference then."""
    ask(worker, {"verb": "open", "folder": str(FIXTURES / "qwen2_tied_gqa"), "eos": None})
    batch = message(sequences(50, [30, 7, 19, 19, 44, 3] * 3))
    first, second = (ask(worker, {"verb": "logprobs", "model": m, "temperature": 0.8}, batch)[1]["logprobs"] for m in (1, 2))
    assert torch.equal(first, second) and bool((first < 0).any())


@pytest.mark.parametrize("request_", [b"no message", encode({"verb": "rm"}), encode({"verb": "logprobs", "model": 7, "temperature": 1.0})])
def test_what_makes_no_sense_is_refused(worker, request_):
    assert decode(worker.job(request_, lambda lengths: None))[0]["error"] == "request"
