"""Sequences as padded rows. Attention is causal and rows are padded on the right, so no mask is needed to be exact."""

from dataclasses import dataclass

import torch

from .wire import Refused


@dataclass
class Rows:
    """Sequences side by side, and where their predictions belong."""

    ids_RL: torch.Tensor
    #: Which elements of the rectangle, without its last column, predict a token of a sequence.
    valid_RL: torch.Tensor
    targets_N: torch.Tensor
    #: The predicted tokens' places in the batch; on the processor, as everything that is indexed by places.
    at_N: torch.Tensor
    #: Where each row starts in the batch.
    starts_R: torch.Tensor

    def places(self, chosen_RL):
        """Places in the batch of chosen elements of the rectangle."""
        columns_L = torch.arange(chosen_RL.shape[1])
        return (self.starts_R[:, None] + columns_L)[chosen_RL.cpu()]


class Batch:
    """Sequences laid end to end: `tokens`, and `starts` with the whole length as its last entry."""

    def __init__(self, tensors, vocab, context):
        self.tokens_T = tensors["tokens"].long()
        self.starts = tensors["starts"].tolist()
        bounds = list(zip(self.starts, self.starts[1:]))
        fits = self.starts[:1] in ([0], []) and self.starts[-1:] in ([len(self.tokens_T)], [])
        if not fits or any(a > b for a, b in bounds) or (not self.starts and len(self.tokens_T)):
            raise Refused("request", "the sequence starts of a batch do not fit its tokens")
        check_tokens(self.tokens_T, vocab)
        self.lengths = [b - a for a, b in bounds]
        longest = max(self.lengths, default=0)
        if longest > context:
            raise Refused("request", f"a sequence of {longest} tokens is longer than the context of {context}")

    def __len__(self):
        return len(self.tokens_T)

    def rows(self, share, limit, device, least=2):
        """The sequences of a share, longest first, in rectangles of at most `limit` tokens."""
        chosen = [s for s in share if self.lengths[s] >= least]
        while chosen:
            length = self.lengths[chosen[0]]
            count = max(1, limit // length)
            yield self._rectangle(chosen[:count], length, device)
            chosen = chosen[count:]

    def _rectangle(self, sequences, length, device):
        ids_RL = torch.zeros(len(sequences), length, dtype=torch.long)
        for row, s in zip(ids_RL, sequences):
            row[: self.lengths[s]] = self.tokens_T[self.starts[s] : self.starts[s + 1]]
        lengths_R = torch.tensor([self.lengths[s] for s in sequences])
        starts_R = torch.tensor([self.starts[s] for s in sequences])
        columns_L = torch.arange(length - 1)
        valid_RL = columns_L < (lengths_R - 1)[:, None]
        at_N = (starts_R[:, None] + 1 + columns_L)[valid_RL]
        targets_N = ids_RL[:, 1:][valid_RL]
        return Rows(*(t.to(device) for t in (ids_RL, valid_RL, targets_N)), at_N, starts_R)


def check_tokens(tokens, vocab):
    """Refuses tokens outside the vocabulary."""
    if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab:
        raise Refused("request", f"token {int(tokens.max())} is outside the vocabulary of {vocab}")
