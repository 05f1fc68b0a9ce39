"""Drawing a token from its numbers, against the rules written out."""

import torch
from tercet.torch.sample import draw_tokens, truncate, walk


def test_the_walk_stops_at_the_first_share_beyond_the_mark():
    weights = torch.tensor([[0.0, 1.0, 0.0, 3.0, 0.0]]).expand(5, -1)
    marks = torch.tensor([0.0, 0.2499, 0.25, 0.9, 1.0], dtype=torch.float64)
    assert walk(weights, marks).tolist() == [1, 1, 3, 3, 3]


def by_sorting(weights, top_k, top_p):
    """As `truncate`, one row, in plain Python."""
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    if top_k:
        order = order[:top_k]
    total, seen, kept = sum(weights[i] for i in order), 0.0, []
    for i in order:
        if kept and seen >= top_p * total:
            break
        kept.append(i)
        seen += weights[i]
    return [w if i in kept else 0.0 for i, w in enumerate(weights)]


def test_top_k_and_top_p_keep_what_sorting_keeps():
    # Whole numbers, with many ties.
    for n, top_k, top_p in [(1, 1, 0.5), (50, 0, 0.9), (300, 7, 1.0), (500, 100, 0.99), (500, 0, 0.5), (90, 0, 1e-9)]:
        weights = [float((i * 7919 + 13) % 101 % 37) for i in range(n)]
        found = truncate(torch.tensor([weights]), {"top_k": top_k, "top_p": top_p})
        assert found[0].tolist() == by_sorting(weights, top_k, top_p), (n, top_k, top_p)


def test_greedy_takes_the_first_of_the_largest_with_its_probability_at_temperature_one():
    logits = torch.tensor([[0.0, 2.0, 2.0, 1.0]])
    sampling = {"temperature": 0.0, "top_k": 0, "top_p": 1.0}
    tokens, logprobs = draw_tokens(logits, sampling, torch.tensor([0.9]))
    assert tokens.tolist() == [1]
    assert torch.allclose(logprobs, logits.log_softmax(-1)[:, 1])
