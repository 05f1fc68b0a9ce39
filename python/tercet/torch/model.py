"""A model with its optimizer."""

import json
import os
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from . import shard
from .batch import Batch
from .shard import local, whole_tensors
from .wire import Refused

#: From so many parameters on, activations are computed again instead of being kept.
CHECKPOINTING = 64_000_000

CONFIG, WEIGHTS, OPTIMIZER = "config.json", "model.safetensors", "optimizer.safetensors"


class Model:
    """A decoder of transformers. Weights, gradients and moments are f32, whatever the arithmetic."""

    def __init__(self, folder, eos, ranks, settings):
        self.ranks, self.settings = ranks, settings
        self.module = read_module(folder).to(ranks.device)
        config = self.module.config.get_text_config()
        self.vocab, self.context = config.vocab_size, config.max_position_embeddings
        if eos is None:
            eos = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
        self.eos = eos
        #: The configuration's files, as they were found: a checkpoint of this model gets them again.
        self.files = {
            name: (Path(folder) / name).read_text()
            for name in (CONFIG, "generation_config.json")
            if (Path(folder) / name).is_file()
        }
        self.parameters = sum(weight.numel() for weight in self.module.parameters())
        on = settings.checkpointing
        if self.parameters >= CHECKPOINTING if on is None else on:
            self.module.gradient_checkpointing_enable({"use_reentrant": False})
            self.module.train()  # Only then do transformers' layers look at it; dropout is off in any case.
        self.sharded = settings.shard and ranks.count > 1
        if self.sharded:
            shard.split(self.module, ranks)
        self.weights = dict(self.module.named_parameters())
        self.kept, self.fitted = None, False
        self._restore(folder)

    # Passes

    def read(self, tensors):
        """A batch, checked against this model."""
        self.kept = None
        return Batch(tensors, self.vocab, self.context)

    def autocast(self):
        if self.settings.precision == "f32":
            return nullcontext()
        return torch.autocast(self.ranks.device.type, torch.bfloat16)

    def whole(self):
        """Sharded weights are whole on every rank for a while, which may then differ in their number of passes."""
        return shard.whole(self.module) if self.sharded else nullcontext()

    def rectangles(self, batch, least=2):
        """This rank's share of a batch. Where weights are sharded, all ranks have as many rectangles."""
        plans = [batch.plan(share, self.settings.micro_tokens, least) for share in self.ranks.shares(batch.lengths)]
        parts = plans[self.ranks.rank]
        if self.sharded:
            parts += [[]] * (max(map(len, plans)) - len(parts))
        return [batch.rows(part, self.ranks.device) for part in parts]

    def log_softmax(self, ids_RL, valid_RL, temperature):
        """Log-probabilities of the whole vocabulary at the chosen places: `[N, V]`."""
        with self.autocast():
            # Neither mask nor cache: with either, some versions of transformers let rows see each other.
            logits_RLV = self.module(input_ids=ids_RL, use_cache=False).logits
        logits_NV = logits_RLV[:, : valid_RL.shape[1]][valid_RL].float()
        return torch.log_softmax(logits_NV if temperature == 1.0 else logits_NV / temperature, -1)

    def run(self, rows, temperature):
        """A pass over a rectangle: places, log-probabilities, distributions."""
        log_NV = self.log_softmax(rows.ids_RL, rows.valid_RL, temperature)
        return rows.at_N, log_NV.gather(1, rows.targets_N[:, None])[:, 0], log_NV

    def fit(self):
        """Finds out what fits a GPU, before the first gradient. A processor has no such errors to learn from."""
        if not self.fitted and self.ranks.device.type != "cpu":
            self.search()

    def search(self):
        """Halves the passes' size until one fits; the worker remembers it."""
        self._moments()
        while not self.survives(self.settings.micro_tokens):
            if self.settings.micro_tokens <= self.context:
                advice = "--checkpointing, --precision bf16 or, in several processes, --shard"
                raise Refused("memory", f"not one sequence of {self.context} tokens fits: start the worker with {advice}")
            self.settings.micro_tokens //= 2
        self.settings.micro_tokens, self.fitted = self.ranks.least(self.settings.micro_tokens), True

    def survives(self, tokens):
        """Whether a pass of so many tokens and its gradient fit."""
        length = min(tokens, self.context)
        ids_RL = torch.zeros(tokens // length, length, dtype=torch.long, device=self.ranks.device)
        try:
            self.log_softmax(ids_RL, ids_RL[:, 1:] == 0, 1.0).sum().backward()
            return True
        except torch.OutOfMemoryError:
            return False
        finally:
            self.module.zero_grad()

    def forward(self, batch, temperature):
        """The first of two phases. Graphs stay for the second as far as one pass may reach; the rest is computed again."""
        self.fit()
        kept, room = [], 0 if self.sharded else self.settings.micro_tokens
        scores = empty(batch, "logprobs", "entropy")
        for rows in self.rectangles(batch):
            room -= rows.ids_RL.numel()
            with torch.set_grad_enabled(room >= 0):
                part = self.run(rows, temperature)
            note(scores, part)
            kept.append((rows, part if room >= 0 else None))
        self.kept, self.batch, self.temperature = kept, batch, temperature
        return scores

    def backward(self, gradient_T, kl):
        """The second phase. `kl` is None, or the reference's log-probabilities [T, V] and the weights [T]."""
        kept, self.kept = self.kept, None
        out = empty(self.batch, "divergence")
        for i, (rows, part) in enumerate(kept):
            kept[i] = None  # Each rectangle's memory is free once its backward pass is done.
            self._backward(part or self.run(rows, self.temperature), gradient_T, kl, out["divergence"])
            del part
        return out

    def forward_backward(self, batch, temperature, gradient_T, kl):
        """Both phases at once, for a gradient that is known beforehand."""
        self.fit()
        out = empty(batch, "logprobs", "entropy", "divergence")
        for rows in self.rectangles(batch):
            part = self.run(rows, temperature)
            note(out, part)
            self._backward(part, gradient_T, kl, out["divergence"])
        return out

    def _backward(self, part, gradient_T, kl, divergence_T):
        at_N, logprobs_N, log_NV = part
        outputs, gradients = [logprobs_N], [gradient_T[at_N].to(logprobs_N.device)]
        if kl is not None:
            reference_TV, weights_T = kl
            kept = weights_T[at_N].nonzero()[:, 0]
            at_K = at_N[kept]
            # Row t of the reference predicts token t + 1.
            reference_KV = reference_TV[at_K - 1].to(log_NV.device)
            own_KV = log_NV[kept.to(log_NV.device)]
            divergence_K = (own_KV.exp() * (own_KV - reference_KV)).sum(-1)
            divergence_T[at_K] = divergence_K.detach().cpu()
            outputs.append(divergence_K)
            gradients.append(weights_T[at_K].to(log_NV.device))
        torch.autograd.backward(outputs, gradients)

    @torch.no_grad()
    def logprobs(self, batch, temperature):
        out = empty(batch, "logprobs")
        for rows in self.rectangles(batch):
            at_N, out_N, _ = self.run(rows, temperature)
            out["logprobs"][at_N] = out_N.cpu()
        return out

    @torch.no_grad()
    def distributions(self, batch, temperature):
        """Log-probabilities of every token's successor: `[T, V]`, this rank's rows only, 0 elsewhere."""
        out_TV = torch.zeros(len(batch), self.vocab)
        for rows in self.rectangles(batch, least=1):
            chosen_RL, at_N = rows.all()
            out_TV[at_N] = self.log_softmax(rows.ids_RL, chosen_RL, temperature).cpu()
        return {"distributions": out_TV}

    # The optimizer

    @torch.no_grad()
    def optim_step(self, a):
        """AdamW with decoupled decay of matrices only, after clipping to the exact global norm. The gradient is cleared;
        one that is not finite changes nothing else. Returns its norm, and whether it was applied."""
        self.kept = None
        weights = [local(weight) for weight in self.weights.values()]
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in self.weights.values()]
        gradients = [local(gradient) for gradient in gradients]
        self.module.zero_grad()
        if not self.sharded:
            self.ranks.sum(gradients)
        squares = torch.stack([g.double().square().sum() for g in gradients]).sum()
        if self.sharded:
            self.ranks.sum([squares])
        norm = float(squares.sqrt())
        if not norm < float("inf"):
            return norm, False
        if a["clip_norm"] > 0 and norm > a["clip_norm"]:
            torch._foreach_mul_(gradients, a["clip_norm"] / norm)
        self._moments()
        self.step += 1
        first, second = ([local(m) for m in moments.values()] for moments in (self.first, self.second))
        torch._foreach_lerp_(first, gradients, 1 - a["beta1"])
        torch._foreach_mul_(second, a["beta2"])
        torch._foreach_addcmul_(second, gradients, gradients, 1 - a["beta2"])
        denominators = torch._foreach_sqrt(second)
        torch._foreach_mul_(denominators, (1 - a["beta2"] ** self.step) ** -0.5)
        torch._foreach_add_(denominators, a["eps"])
        matrices = [w for w in weights if w.dim() >= 2]
        if matrices:
            torch._foreach_mul_(matrices, 1 - a["lr"] * a["weight_decay"])
        torch._foreach_addcdiv_(weights, first, denominators, -a["lr"] / (1 - a["beta1"] ** self.step))
        return norm, True

    def _moments(self):
        if self.first is None:
            self.first = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
            self.second = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}

    # Checkpoints

    def save(self, folder, with_optimizer):
        """Writes what the CPU engine writes: weights in f32, their configuration, and the optimizer's state if asked."""
        weights, state = whole_tensors(self.weights), {}
        if with_optimizer:
            self._moments()
            moments = {f"first.{name}": moment for name, moment in self.first.items()}
            state = whole_tensors(moments | {f"second.{name}": moment for name, moment in self.second.items()})
            state["step"] = torch.tensor([self.step], dtype=torch.uint64)
        if self.ranks.rank != 0:
            return
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_tensors(folder / WEIGHTS, weights)
            for name, text in self.files.items():
                write(folder / name, lambda partial, text=text: partial.write_text(in_f32(text)))
            if with_optimizer:
                write_tensors(folder / OPTIMIZER, state)
            else:
                (folder / OPTIMIZER).unlink(missing_ok=True)
        except OSError as error:
            raise Refused("checkpoint", f"it cannot be written: {error}", path=str(folder)) from error

    @torch.no_grad()
    def load(self, folder):
        """Reads what `save` wrote, into this model."""
        self.kept = None
        found = dict(read_module(folder).named_parameters())
        shapes = lambda weights: {name: tuple(weight.shape) for name, weight in weights.items()}
        if shapes(found) != shapes(self.weights):
            raise Refused("checkpoint", "the checkpoint is of another shape than this model", path=str(folder))
        for name, weight in self.weights.items():
            weight.copy_(shard.like(found[name], weight))
            weight.grad = None
        self._restore(folder)

    def _restore(self, folder):
        """Reads the optimizer's state if there is one."""
        self.step, self.first, self.second = 0, None, None
        path = Path(folder) / OPTIMIZER
        if not path.exists():
            return
        try:
            state = load_file(path, str(self.ranks.device))
            self.step = int(state.pop("step").cpu().view(torch.int64))
            first, second = ({n: state.pop(f"{kind}.{n}") for n in self.weights} for kind in ("first", "second"))
        except (SafetensorError, OSError, KeyError, RuntimeError) as error:
            raise Refused("checkpoint", f"not an optimizer's state of this model: {error}", path=str(path)) from error
        fits = all(first[n].shape == second[n].shape == w.shape for n, w in self.weights.items())
        if state or not fits:
            raise Refused("checkpoint", "it is the state of another model's optimizer", path=str(path))
        like = lambda moments: {name: shard.like(moments[name], weight) for name, weight in self.weights.items()}
        self.first, self.second = like(first), like(second)


def read_module(folder):
    """The model in a Hugging Face directory, in f32. What is missing or left over there is an error."""

    def refuse(reason):
        return Refused("checkpoint", reason, path=str(folder))

    try:
        module, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises many kinds; all mean that the directory holds no usable model.
        raise refuse(f"not a model that can be read: {str(error).strip().splitlines()[0]}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(kind):
            raise refuse(f"{kind.replace('_', ' ')}: {sorted(map(str, info[kind]))[:3]}")
    config = module.config.get_text_config()
    windows = set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}
    if windows or getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        raise refuse("attention over a window is not supported")
    for name, weight in module.named_parameters():
        if not bool(weight.isfinite().all()):
            raise refuse(f"tensor {name} holds numbers that are not finite")
    for part in module.modules():
        if isinstance(part, torch.nn.Embedding):
            part.padding_idx = None  # It would take the padding token's gradient away.
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        if hasattr(part, "attention_dropout"):
            part.attention_dropout = 0.0
    return module.eval()


def empty(batch, *names):
    """A number for each token of a batch under each of these names."""
    return {name: torch.zeros(len(batch)) for name in names}


@torch.no_grad()
def note(scores, part):
    """Writes down log-probability and entropy of a pass's tokens."""
    at_N, logprobs_N, log_NV = part
    scores["logprobs"][at_N] = logprobs_N.cpu()
    scores["entropy"][at_N] = -(log_NV.exp() * log_NV).sum(-1).cpu()


def in_f32(config):
    """The text of a configuration whose weights are written in f32."""
    values = json.loads(config)
    others = [key for key in ("dtype", "torch_dtype") if values.get(key, "float32") != "float32"]
    if not others:
        return config
    return json.dumps(values | {key: "float32" for key in others}, indent=2) + "\n"


def write_tensors(path, tensors):
    """Writes a safetensors file."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write(path, lambda partial: save_file(plain, partial, metadata={"format": "pt"}))


def write(path, fill):
    """Writes a file that is whole or absent: under another name, flushed, renamed, and the folder flushed as well."""
    partial = path.with_name(path.name + ".partial")
    fill(partial)
    for target in (partial, path.parent):
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if target == partial:
            partial.rename(path)
