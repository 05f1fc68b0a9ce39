"""A Qwen2 decoder as a PyTorch user would write it for speed: fused projections, SDPA, a preallocated cache.

Axes in names: B row, L position, H head, D head width.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Rotation(nn.Module):
    """RoPE tables; the first half of a head is rotated against the second."""

    def __init__(self, width, context, theta):
        super().__init__()
        frequencies = theta ** -(torch.arange(0, width, 2) / width)
        angles_LD = torch.outer(torch.arange(context), frequencies).repeat(1, 2)
        self.register_buffer("cos_LD", angles_LD.cos(), persistent=False)
        self.register_buffer("sin_LD", angles_LD.sin(), persistent=False)

    def forward(self, x_BHLD, first):
        length, half = x_BHLD.shape[2], x_BHLD.shape[3] // 2
        cos_LD = self.cos_LD[first : first + length].to(x_BHLD.dtype)
        sin_LD = self.sin_LD[first : first + length].to(x_BHLD.dtype)
        turned_BHLD = torch.cat((-x_BHLD[..., half:], x_BHLD[..., :half]), -1)
        return x_BHLD * cos_LD + turned_BHLD * sin_LD


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        hidden, mlp = shape["hidden"], shape["mlp"]
        self.heads, self.kv_heads = shape["heads"], shape["kv_heads"]
        self.width = hidden // self.heads
        self.input_norm = nn.RMSNorm(hidden, eps=1e-6)
        self.qkv = nn.Linear(hidden, (self.heads + 2 * self.kv_heads) * self.width, bias=True)
        self.out = nn.Linear(self.heads * self.width, hidden, bias=False)
        self.post_norm = nn.RMSNorm(hidden, eps=1e-6)
        self.gate_up = nn.Linear(hidden, 2 * mlp, bias=False)
        self.down = nn.Linear(mlp, hidden, bias=False)

    def forward(self, x_BLE, rotation, cache=None, first=0):
        rows, length, _ = x_BLE.shape
        qkv = self.qkv(self.input_norm(x_BLE)).view(rows, length, -1, self.width).transpose(1, 2)
        q_BHLD, k_BHLD, v_BHLD = qkv.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        q_BHLD, k_BHLD = rotation(q_BHLD, first), rotation(k_BHLD, first)
        if cache is not None:
            keys, values = cache
            keys[:, :, first : first + length] = k_BHLD
            values[:, :, first : first + length] = v_BHLD
            k_BHLD, v_BHLD = keys[:, :, : first + length], values[:, :, : first + length]
        attended_BHLD = F.scaled_dot_product_attention(
            q_BHLD, k_BHLD, v_BHLD, is_causal=length > 1, enable_gqa=True
        )
        x_BLE = x_BLE + self.out(attended_BHLD.transpose(1, 2).reshape(rows, length, -1))
        gate, up = self.gate_up(self.post_norm(x_BLE)).chunk(2, -1)
        return x_BLE + self.down(F.silu(gate) * up)


class Plain(nn.Module):
    """Tied embeddings, biases on queries, keys and values, RMS norms: the architecture of Qwen2."""

    def __init__(self, shape, context, theta=1e6):
        super().__init__()
        self.shape, self.context = shape, context
        self.embed = nn.Embedding(shape["vocab"], shape["hidden"])
        self.rotation = Rotation(shape["hidden"] // shape["heads"], context, theta)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape["layers"]))
        self.norm = nn.RMSNorm(shape["hidden"], eps=1e-6)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        for layer in self.layers:
            nn.init.zeros_(layer.qkv.bias)

    def hidden(self, tokens_BL, caches=None, first=0):
        x_BLE = self.embed(tokens_BL)
        for i, layer in enumerate(self.layers):
            x_BLE = layer(x_BLE, self.rotation, caches[i] if caches else None, first)
        return self.norm(x_BLE)

    def forward(self, tokens_BL, targets_BL):
        """Mean cross-entropy; targets of -100 do not count."""
        logits = F.linear(self.hidden(tokens_BL), self.embed.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets_BL.flatten(), ignore_index=-100)

    @torch.inference_mode()
    def sample(self, prompts_BL, new):
        """Draws `new` tokens a row at temperature 1; no token ends a row."""
        rows, length = prompts_BL.shape
        kv_heads, width = self.shape["kv_heads"], self.shape["hidden"] // self.shape["heads"]
        size = (rows, kv_heads, length + new, width)
        dtype = self.embed.weight.dtype
        caches = [(torch.empty(size, dtype=dtype), torch.empty(size, dtype=dtype)) for _ in self.layers]
        out_BL = torch.empty(rows, new, dtype=torch.long)
        tokens_BL, first = prompts_BL, 0
        for step in range(new):
            x_BE = self.hidden(tokens_BL, caches, first)[:, -1]
            probabilities = F.linear(x_BE, self.embed.weight).float().softmax(-1)
            first += tokens_BL.shape[1]
            tokens_BL = torch.multinomial(probabilities, 1)
            out_BL[:, step] = tokens_BL[:, 0]
        return out_BL


def load_hub_weights(plain, hub):
    """Copies the weights of a transformers Qwen2 model, so that the two can be compared."""
    with torch.no_grad():
        plain.embed.weight.copy_(hub.model.embed_tokens.weight)
        plain.norm.weight.copy_(hub.model.norm.weight)
        for ours, theirs in zip(plain.layers, hub.model.layers):
            attention, mlp = theirs.self_attn, theirs.mlp
            projections = (attention.q_proj, attention.k_proj, attention.v_proj)
            ours.qkv.weight.copy_(torch.cat([p.weight for p in projections]))
            ours.qkv.bias.copy_(torch.cat([p.bias for p in projections]))
            ours.out.weight.copy_(attention.o_proj.weight)
            ours.gate_up.weight.copy_(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]))
            ours.down.weight.copy_(mlp.down_proj.weight)
            ours.input_norm.weight.copy_(theirs.input_layernorm.weight)
            ours.post_norm.weight.copy_(theirs.post_attention_layernorm.weight)
