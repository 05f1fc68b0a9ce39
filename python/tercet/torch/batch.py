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
    #: Where each row starts in the batch, and how many tokens it has there.
    starts_R: torch.Tensor
    lengths_R: torch.Tensor

    def all(self):
        """Every token: which elements of the rectangle they are, and their places in the batch."""
        columns_L = torch.arange(self.ids_RL.shape[1])
        chosen_RL = columns_L < self.lengths_R[:, None]
        return chosen_RL.to(self.ids_RL.device), (self.starts_R[:, None] + columns_L)[chosen_RL]


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

    def plan(self, share, limit, least=2):
        """The sequences of a share, longest first, cut into parts of at most `limit` tokens with their padding."""
        chosen, parts = [s for s in share if self.lengths[s] >= least], []
        while chosen:
            count = max(1, limit // self.lengths[chosen[0]])
            parts.append(chosen[:count])
            chosen = chosen[count:]
        return parts

    def rows(self, sequences, device):
        """Sequences as a rectangle. Of none, a pass that predicts nothing."""
        length = max([2, *(self.lengths[s] for s in sequences)])
        ids_RL = torch.zeros(max(1, len(sequences)), length, dtype=torch.long)
        for row, s in zip(ids_RL, sequences):
            row[: self.lengths[s]] = self.tokens_T[self.starts[s] : self.starts[s + 1]]
        lengths_R = torch.tensor([self.lengths[s] for s in sequences] or [0])
        starts_R = torch.tensor([self.starts[s] for s in sequences] or [0])
        columns_L = torch.arange(length - 1)
        valid_RL = columns_L < (lengths_R - 1)[:, None]
        at_N = (starts_R[:, None] + 1 + columns_L)[valid_RL]
        targets_N = ids_RL[:, 1:][valid_RL]
        return Rows(*(t.to(device) for t in (ids_RL, valid_RL, targets_N)), at_N, starts_R, lengths_R)


def check_tokens(tokens, vocab):
    """Refuses tokens outside the vocabulary."""
    if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab:
        raise Refused("request", f"token {int(tokens.max())} is outside the vocabulary of {vocab}")
