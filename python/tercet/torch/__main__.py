"""`python -m tercet.torch`, alone or under a launcher such as torchrun."""

import argparse
import os
import secrets
import sys
import threading
from pathlib import Path


def parse():
    parser = argparse.ArgumentParser(
        prog="python -m tercet.torch",
        description="A worker that trains and samples a model for `tercet run --engine`. Under torchrun, Slurm or Ray all "
        "processes together are one worker; rank 0 takes the requests.",
        epilog="The token comes from the environment variable TERCET_TOKEN, or from --token-file.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; others than this machine need a token")
    parser.add_argument("--port", type=int, default=0, help="port to listen at; a free one by default")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file that holds the token")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="arithmetic; weights stay f32")
    parser.add_argument("--threads", type=int, help="threads of each process on a CPU")
    parser.add_argument("--micro-tokens", type=int, default=16384, help="most tokens in one pass, padding included; less if a GPU has less room")
    parser.add_argument("--checkpointing", action=argparse.BooleanOptionalAction, help="compute activations again instead of keeping them; by default from 64 M parameters on")
    parser.add_argument("--shard", action="store_true", help="share out weights, gradients and moments over the processes (FSDP2)")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input does")
    return parser.parse_args()


def token(settings):
    """The driver's token; a random one, said once, where none is given and only this machine can ask."""
    if settings.token_file:
        return settings.token_file.read_text().strip()
    given = os.environ.pop("TERCET_TOKEN", "").strip()
    if not given and settings.host not in ("127.0.0.1", "::1", "localhost"):
        sys.exit("error: a worker that others can reach needs a token: set TERCET_TOKEN or give --token-file")
    return given


def leave_with_parent():
    """Ends this process when its standard input does: the driver that started it is gone."""

    def watch():
        while sys.stdin.buffer.read(1 << 16):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main():
    settings = parse()
    if settings.with_parent and os.environ.get("RANK", "0") == "0":
        leave_with_parent()
    secret = token(settings)
    # Both are read when torch is imported. Threads that spin while they wait make a shared machine many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Nothing is fetched from anywhere.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch
    from transformers.utils import logging

    from .ranks import Ranks
    from .serve import serve

    logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True, warn_only=True)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    ranks = Ranks()
    if not secret and ranks.rank == 0:
        secret = secrets.token_urlsafe(24)
        print(f"token: {secret}", file=sys.stderr, flush=True)
    serve(ranks, settings, secret)


main()
