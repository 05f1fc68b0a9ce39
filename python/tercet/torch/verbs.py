"""What each request does. Every rank does every request, on its share of the batch; rank 0 answers."""

import json
import os
import platform
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

import torch
import transformers

from .batch import check_tokens
from .model import Model
from .sample import Sampler
from .wire import PROTOCOL, Refused, decode, encode

#: Answers that ranks have parts of, with zeros elsewhere.
SUMMED = {"forward", "backward", "forward_backward", "logprobs", "distributions", "sample"}


class Worker:
    """The models of one driver."""

    def __init__(self, ranks, settings):
        self.ranks, self.settings = ranks, settings
        self.spool = Path(tempfile.mkdtemp(prefix="tercet-torch-"))
        self.reset()

    def reset(self):
        """Forgets everything: the driver has gone."""
        self.models, self.held, self.made = {}, {}, 0
        shutil.rmtree(self.spool, ignore_errors=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def about(self):
        """What answers `hello`."""
        cuda = self.ranks.device.type == "cuda"
        if cuda:
            memory = torch.cuda.get_device_properties(self.ranks.device).total_memory
        else:
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return {
            "protocol": PROTOCOL,
            "workers": self.ranks.count,
            "device": torch.cuda.get_device_name(self.ranks.device) if cuda else "cpu",
            "memory": memory,
            "precision": self.settings.precision,
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }

    def job(self, data, progress):
        """Does a request, together with the other ranks; returns the answer's bytes."""
        error, head, tensors = None, {}, {}
        try:
            asked, given = decode(data)
            verb = asked.get("verb")
            act = getattr(self, f"do_{verb}", None)
            if act is None:
                raise Refused("request", f"there is no verb `{verb}`")
            head, tensors = act(asked, given, progress)
        except Refused as refused:
            error = refused
        except torch.OutOfMemoryError as out:
            self._drop_graphs()
            advice = "Lower the recipe's `micro_tokens`, or start the worker with --checkpointing or, in several processes, --shard"
            error = Refused("memory", f"{str(out).splitlines()[0]} {advice}")
        except Exception as other:
            traceback.print_exc(file=sys.stderr)
            error = Refused("failed", f"{type(other).__name__}: {other}")
        # Ranks answer alike: where one fails, all do.
        said = self.ranks.first(json.dumps(error.head)[:4000] if error else "")
        if said:
            return encode(json.loads(said))
        if verb in SUMMED:
            self.ranks.sum([tensors[name] for name in sorted(tensors)])
        return encode(head, tensors)

    def _drop_graphs(self):
        for model in self.models.values():
            model.kept = None
            for weight in model.weights.values():
                weight.grad = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _model(self, asked):
        model = self.models.get(asked.get("model"))
        if model is None:
            raise Refused("request", f"there is no model {asked.get('model')}")
        return model

    def _kl(self, asked, given, batch):
        """The reference of an exact KL term: its log-probabilities, sent or held here, and the tokens' weights."""
        if "kl_weights" not in given:
            return None
        reference = given.get("reference")
        if "held" in asked:
            reference = self.held.pop(asked["held"], None)
        fits = reference is not None and len(reference) == len(batch) == len(given["kl_weights"])
        if not fits:
            raise Refused("request", "the objective's reference does not fit the batch")
        return reference, given["kl_weights"]

    def _gradient(self, given, batch):
        if len(given.get("gradient", ())) != len(batch):
            raise Refused("request", "the objective's gradient does not fit the batch")
        return given["gradient"]

    # Verbs

    def do_open(self, asked, given, progress):
        """Reads a model, with its optimizer's state where there is one."""
        model = Model(self._folder(asked), asked.get("eos"), self.ranks, self.settings)
        self.made += 1
        self.models[self.made] = model
        about = {"vocab": model.vocab, "parameters": model.parameters, "eos": model.eos}
        return {"model": self.made, **about}, {}

    def do_close(self, asked, given, progress):
        self.models.pop(asked.get("model"), None)
        return {}, {}

    def do_forward(self, asked, given, progress):
        model = self._model(asked)
        return {}, model.forward(model.read(given), asked["temperature"])

    def do_backward(self, asked, given, progress):
        model = self._model(asked)
        if model.kept is None:
            raise Refused("request", "there is no forward pass that this gradient belongs to")
        gradient_T = self._gradient(given, model.batch)
        return {}, model.backward(gradient_T, self._kl(asked, given, model.batch))

    def do_forward_backward(self, asked, given, progress):
        model = self._model(asked)
        batch = model.read(given)
        gradient_T, kl = self._gradient(given, batch), self._kl(asked, given, batch)
        return {}, model.forward_backward(batch, asked["temperature"], gradient_T, kl)

    def do_optim_step(self, asked, given, progress):
        norm, applied = self._model(asked).optim_step(asked["adamw"])
        return {"applied": applied}, {"grad_norm": torch.tensor([norm], dtype=torch.float64)}

    def do_logprobs(self, asked, given, progress):
        model = self._model(asked)
        return {}, model.logprobs(model.read(given), asked["temperature"])

    def do_distributions(self, asked, given, progress):
        """With `hold` they stay here, each rank's share with it, for the next backward pass over the same batch."""
        model = self._model(asked)
        out = model.distributions(model.read(given), asked["temperature"])
        if not asked.get("hold"):
            return {}, out
        self.made += 1
        self.held = {self.made: out["distributions"]}
        return {"held": self.made}, {}

    def do_sample(self, asked, given, progress):
        """`tokens` and `starts` are the prompts; `counts` says how many samples of each; `uniforms` has a row of numbers
        for each sample. Ranks take runs of samples, so that a prompt is read by few of them."""
        model, sampling = self._model(asked), asked["sampling"]
        prompts = [part.tolist() for part in given["tokens"].tensor_split(given["starts"][1:-1].long())]
        check_tokens(given["tokens"], model.vocab)
        longest = max(map(len, prompts), default=0)
        if not all(prompts):
            raise Refused("request", "a prompt is empty")
        if longest > model.context:
            raise Refused("request", f"a prompt of {longest} tokens is longer than the context of {model.context}")
        owners = [p for p, n in enumerate(given["counts"].tolist()) for _ in range(n)]
        uniforms_SL, most = given["uniforms"], sampling["max_tokens"]
        if uniforms_SL.shape != (len(owners), most):
            raise Refused("request", "the random numbers do not fit the samples")
        first, end = (r * len(owners) // self.ranks.count for r in (self.ranks.rank, self.ranks.rank + 1))
        with model.whole():
            mine = Sampler(model, sampling, prompts, progress).draw(owners[first:end], uniforms_SL[first:end])
        out = {
            "tokens": torch.zeros(len(owners), most, dtype=torch.int32),
            "logprobs": torch.zeros(len(owners), most),
            "lengths": torch.zeros(len(owners), dtype=torch.int32),
        }
        for name, values in mine.items():
            out[name][first:end] = values.cpu()
        return {}, out

    def do_save(self, asked, given, progress):
        folder = self._folder(asked)
        self._model(asked).save(folder, asked["with_optimizer"])
        if "transfer" not in asked or self.ranks.rank != 0:
            return {}, {}
        return {"files": {path.name: path.stat().st_size for path in sorted(Path(folder).iterdir())}}, {}

    def do_load(self, asked, given, progress):
        self._model(asked).load(self._folder(asked))
        return {}, {}

    # Files, where driver and worker share no disk: a transfer is a folder here.

    def _folder(self, asked):
        if "folder" in asked:
            return asked["folder"]
        return self.spool / str(int(asked["transfer"]))

    def _file(self, asked):
        name = asked["name"]
        if Path(name).name != name or name.startswith("."):
            raise Refused("request", f"{name} is not a plain file name")
        return self._folder({"transfer": asked["transfer"]}) / name

    def do_put(self, asked, given, progress):
        """Adds a piece to a file; once on each machine."""
        if os.environ.get("LOCAL_RANK", "0") == "0":
            path = self._file(asked)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("r+b" if asked["at"] else "wb") as file:
                file.seek(asked["at"])
                file.write(bytes(given["bytes"].numpy()))
        return {}, {}

    def do_get(self, asked, given, progress):
        """A piece of a file, from rank 0's machine."""
        if self.ranks.rank != 0:
            return {}, {}
        with self._file(asked).open("rb") as file:
            file.seek(asked["at"])
            piece = file.read(asked["bytes"])
        return {}, {"bytes": torch.frombuffer(bytearray(piece or b"\0"), dtype=torch.uint8)[: len(piece)]}

    def do_forget(self, asked, given, progress):
        """Removes a transfer."""
        if os.environ.get("LOCAL_RANK", "0") == "0":
            shutil.rmtree(self._folder({"transfer": asked["transfer"]}), ignore_errors=True)
        return {}, {}

    def do_reset(self, asked, given, progress):
        self.reset()
        return {}, {}
