"""The processes of one worker. Rank 0 talks to the driver; all of them do the same jobs on their shares."""

import os
from datetime import timedelta

import torch
import torch.distributed as dist

#: Elements that are reduced at once.
BUCKET = 1 << 25


class Ranks:
    """The group that a launcher such as torchrun made; one process if there is none."""

    def __init__(self):
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        if self.count > 1:
            dist.init_process_group("cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo")
            # Ranks wait here for the next job, for as long as the driver thinks.
            self.control = dist.new_group(backend="gloo", timeout=timedelta(days=7))

    def shares(self, lengths):
        """Every rank's part of sequences of these lengths: dealt out by length, so that all have about as much."""
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        return [order[rank :: self.count] for rank in range(self.count)]

    def least(self, number):
        """The smallest number of all ranks."""
        numbers = torch.tensor([number])
        if self.count > 1:
            dist.all_reduce(numbers, dist.ReduceOp.MIN, group=self.control)
        return int(numbers)

    def broadcast(self, data=None):
        """Bytes that rank 0 has, on every rank."""
        if self.count == 1:
            return data
        size = torch.tensor([len(data) if data is not None else 0])
        dist.broadcast(size, 0, group=self.control)
        buffer = torch.empty(int(size), dtype=torch.uint8)
        if data is not None:
            buffer.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        dist.broadcast(buffer, 0, group=self.control)
        return data if data is not None else bytes(buffer.numpy())

    def first(self, text):
        """The first text, by rank, that is not empty; the empty text if there is none."""
        if self.count == 1:
            return text
        data = text.encode()[:4096]
        mine = torch.zeros(4096, dtype=torch.uint8)
        mine[: len(data)] = torch.frombuffer(bytearray(data or b"\0"), dtype=torch.uint8)[: len(data)]
        everyone = [torch.empty_like(mine) for _ in range(self.count)]
        dist.all_gather(everyone, mine, group=self.control)
        texts = [bytes(theirs.numpy()).rstrip(b"\0").decode(errors="replace") for theirs in everyone]
        return next((theirs for theirs in texts if theirs), "")

    def sum(self, tensors):
        """Adds up tensors of all ranks in place: a sum, never a mean, for losses are normalised over the whole step."""
        if self.count == 1:
            return
        bucket, size = [], 0
        for tensor in [*tensors, None]:
            if bucket and (tensor is None or size + tensor.numel() > BUCKET or tensor.dtype != bucket[0].dtype):
                flat = torch.cat([t.reshape(-1) for t in bucket])
                dist.all_reduce(flat)
                for t, part in zip(bucket, flat.split([t.numel() for t in bucket])):
                    t.copy_(part.view_as(t))
                bucket, size = [], 0
            if tensor is not None:
                bucket.append(tensor)
                size += tensor.numel()
