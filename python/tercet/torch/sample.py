"""Sampling over a key-value cache. The random numbers are the driver's: a draw depends on the logits, the settings and
its own number, and the numbers are named by prompt, sample and position, so a batch's composition decides nothing."""

import torch
from transformers.cache_utils import Cache, DynamicLayer

#: Positions that a cache grows by.
BLOCK = 64

#: Bytes of a wave's cache, on a processor; on a GPU it is a share of what is free.
CACHE_BYTES, CACHE_SHARE = 1 << 30, 0.4

#: A wave is packed together when only this share of its rows is still running.
RUNNING = 0.75


class Blocks(DynamicLayer):
    """One layer's keys and values, `[R, heads, L, width]`, in storage that grows by blocks instead of by tokens."""

    length = 0

    def get_seq_length(self):
        return self.length

    def update(self, key_states, value_states, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        end = self.length + key_states.shape[-2]
        if end > self.keys.shape[-2]:
            self.keys, self.values = (self._grown(t, end) for t in (self.keys, self.values))
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _grown(self, old, end):
        rows, heads, _, width = old.shape
        new = old.new_zeros(rows, heads, -(-end // BLOCK) * BLOCK, width)
        new[:, :, : self.length] = old[:, :, : self.length]
        return new

    def take(self, rows):
        """Keeps these rows, in this order; a row may be taken several times."""
        self.keys, self.values = self.keys[rows], self.values[rows]

    def shift(self, by_R):
        """Moves each row to the right, so that rows of different lengths end at the same place."""
        source_RL = torch.arange(self.length, device=by_R.device) - by_R[:, None]
        index = source_RL.clamp(min=0)[:, None, :, None]
        for name in ("keys", "values"):
            old = getattr(self, name)[:, :, : self.length]
            setattr(self, name, old.gather(2, index.expand(-1, old.shape[1], -1, old.shape[3])))


class Sampler:
    """Draws samples of prompts from a model."""

    def __init__(self, model, sampling, prompts, progress):
        self.model, self.sampling, self.prompts, self.progress = model, sampling, prompts, progress
        self.device = model.ranks.device

    @torch.no_grad()
    def draw(self, owners, uniforms_SL):
        """One sample for each entry of `owners`, the number of its prompt; entries of a prompt stand together. Returns
        tokens and log-probabilities `[S, max_tokens]`, and lengths."""
        most = self.sampling["max_tokens"]
        out = {
            "tokens": torch.zeros(len(owners), most, dtype=torch.int32, device=self.device),
            "logprobs": torch.zeros(len(owners), most, device=self.device),
            "lengths": torch.zeros(len(owners), dtype=torch.int32, device=self.device),
        }
        room = lambda owner: min(most, self.model.context - len(self.prompts[owner]))
        open_ = [s for s, owner in enumerate(owners) if room(owner) > 0]
        # Prompts of like length side by side: little of the cache is padding.
        open_.sort(key=lambda s: (len(self.prompts[owners[s]]), owners[s], s))
        while open_:
            reach = max(len(self.prompts[owners[s]]) for s in open_) + most
            count = max(1, self._fitting(reach))
            wave, open_ = open_[:count], open_[count:]
            self._wave(wave, [owners[s] for s in wave], [room(owners[s]) for s in wave], uniforms_SL, out)
        # What was drawn for rows that had ended is not theirs.
        beyond_SL = torch.arange(most, device=self.device) >= out["lengths"][:, None]
        for name in ("tokens", "logprobs"):
            out[name][beyond_SL] = 0
        return out

    def _fitting(self, reach):
        """Rows of this length whose keys and values fit the memory set aside."""
        c = self.model.module.config.get_text_config()
        heads = getattr(c, "num_key_value_heads", None) or c.num_attention_heads
        width = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
        bytes_ = 2 * 4 * c.num_hidden_layers * heads * width * (-(-reach // BLOCK) * BLOCK)
        if self.device.type == "cuda":
            free = torch.cuda.mem_get_info(self.device)[0]
            return min(4096, int(CACHE_SHARE * free) // bytes_)
        return min(512, CACHE_BYTES // bytes_)

    def _prefill(self, owners):
        """A cache with all but the last token of each row's prompt, which is read once for all rows that share it.
        Rows end at the same place; returns how many places each leaves free before it."""
        unique = sorted(set(owners), key=owners.index)
        lengths = [len(self.prompts[owner]) - 1 for owner in unique]
        longest = max(lengths)
        cache = Cache(layer_class_to_replicate=Blocks)
        pads = torch.tensor([longest - n for n in lengths], device=self.device)
        if longest > 0:
            ids_RL = torch.zeros(len(unique), longest, dtype=torch.long)
            for row, owner, n in zip(ids_RL, unique, lengths):
                row[:n] = torch.tensor(self.prompts[owner][:n])
            with self.model.autocast():
                # Padded on the right and causal: no mask, and the padding's keys are moved out of sight.
                self.model.module(
                    input_ids=ids_RL.to(self.device), past_key_values=cache, use_cache=True, logits_to_keep=1
                )
        rows = torch.tensor([unique.index(owner) for owner in owners], device=self.device)
        pads_R = pads[rows]
        for layer in cache.layers:
            layer.take(rows)
            if bool(pads_R.any()):
                layer.shift(pads_R)
        return cache, pads_R

    def _wave(self, samples, owners, rooms, uniforms_SL, out):
        cache, pads_R = self._prefill(owners)
        to = lambda values: torch.tensor(values, device=self.device)
        sample_R, room_R = to(samples), to(rooms)
        tokens_R = to([self.prompts[owner][-1] for owner in owners])
        position_R = to([len(self.prompts[owner]) - 1 for owner in owners])
        running_R = torch.ones(len(samples), dtype=torch.bool, device=self.device)
        padded, start = bool(pads_R.any()), max(len(self.prompts[owner]) for owner in owners)
        numbers_RL = uniforms_SL[samples].to(self.device)
        end = -1 if self.model.eos is None else self.model.eos
        for step in range(max(rooms)):
            mask = None
            if padded:
                mask = (torch.arange(start + step, device=self.device) >= pads_R[:, None])[:, None, None]
            with self.model.autocast():
                logits_RV = self.model.module(
                    input_ids=tokens_R[:, None],
                    attention_mask=mask,
                    position_ids=position_R[:, None],
                    past_key_values=cache,
                    use_cache=True,
                ).logits[:, -1]
            tokens_R, logprobs_R = draw_tokens(logits_RV.float(), self.sampling, numbers_RL[:, step])
            out["tokens"][sample_R, step] = tokens_R.int()
            out["logprobs"][sample_R, step] = logprobs_R
            ended_R = running_R & ((tokens_R == end) | (step + 1 >= room_R))
            if bool(ended_R.any()):
                out["lengths"][sample_R[ended_R]] = step + 1
                self.progress([step + 1] * int(ended_R.sum()))
                running_R &= ~ended_R
                left = int(running_R.sum())
                if left == 0:
                    return
                if left <= RUNNING * len(running_R):
                    keep = running_R.nonzero()[:, 0]
                    for layer in cache.layers:
                        layer.take(keep)
                    parts = (sample_R, room_R, tokens_R, position_R, running_R, pads_R, numbers_RL)
                    sample_R, room_R, tokens_R, position_R, running_R, pads_R, numbers_RL = (p[keep] for p in parts)
            # Rows that ended and are not yet left out stay inside the context.
            position_R = (position_R + 1).clamp(max=self.model.context - 1)


def draw_tokens(logits_RV, sampling, uniforms_R):
    """A token for each row, and its log-probability at the temperature without truncation (of greedy choices, at 1)."""
    temperature = sampling["temperature"]
    if temperature <= 0:
        tokens_R = logits_RV.argmax(-1)
    else:
        if temperature != 1.0:
            logits_RV = logits_RV / temperature
        weights_RV = (logits_RV - logits_RV.max(-1, keepdim=True).values).exp()
        tokens_R = walk(truncate(weights_RV, sampling), uniforms_R)
    logprobs_R = logits_RV.gather(1, tokens_R[:, None])[:, 0] - logits_RV.logsumexp(-1)
    return tokens_R, logprobs_R


def truncate(weights_RV, sampling):
    """Sets to 0 what top-k and top-p leave out; ties go to the lower token."""
    top_k, top_p = sampling["top_k"], sampling["top_p"]
    by_k = 0 < top_k < weights_RV.shape[-1]
    if not by_k and top_p >= 1.0:
        return weights_RV
    sorted_RV, order_RV = weights_RV.sort(stable=True, dim=-1, descending=True)
    if by_k:
        sorted_RV[:, top_k:] = 0
    if top_p < 1.0:
        sums_RV = sorted_RV.double().cumsum(-1)
        before_RV = sums_RV - sorted_RV.double()
        left_out_RV = before_RV >= top_p * sums_RV[:, -1:]
        left_out_RV[:, 0] = False
        sorted_RV[left_out_RV] = 0
    return torch.zeros_like(weights_RV).scatter_(1, order_RV, sorted_RV)


def walk(weights_RV, uniforms_R):
    """The token at a fraction of the total weight: the first with a share beyond it, or the last with a share."""
    sums_RV = weights_RV.nan_to_num(0.0).double().cumsum(-1)
    total_R1 = sums_RV[:, -1:].contiguous()
    beyond_R = torch.searchsorted(sums_RV, uniforms_R.double()[:, None] * total_R1, right=True)[:, 0]
    last_R = torch.searchsorted(sums_RV, total_R1)[:, 0]
    return torch.minimum(beyond_R, last_R)
