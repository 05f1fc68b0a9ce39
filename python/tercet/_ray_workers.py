"""PyTorch workers of one stage on several nodes of a Ray cluster, started by Ray Train."""

from __future__ import annotations

import importlib
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from typing import Any

#: Seconds that the workers have to start.
START = 300.0


class Workers:
    """Workers that are one engine together; the address is that of the first. They end with the context."""

    def __init__(self, nodes: int, gpus: float) -> None:
        self.nodes, self.gpus = nodes, gpus
        self.token = secrets.token_urlsafe(24)

    def __enter__(self) -> tuple[str, str]:
        ray = importlib.import_module("ray")
        train = importlib.import_module("ray.train")
        torch = importlib.import_module("ray.train.torch")
        self.board = ray.remote(Board).options(num_cpus=0).remote()
        use_gpu = self.gpus > 0
        resources = {"GPU": self.gpus} if use_gpu else {"CPU": 1}
        scaling = train.ScalingConfig(
            num_workers=self.nodes,
            use_gpu=use_gpu,
            resources_per_worker=resources,
            placement_strategy="SPREAD",
        )
        trainer = torch.TorchTrainer(
            worker,
            train_loop_config={"board": self.board, "token": self.token},
            torch_config=torch.TorchConfig(backend="nccl" if use_gpu else "gloo"),
            scaling_config=scaling,
        )
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self.fit, args=(trainer,), daemon=True)
        self.thread.start()
        began = time.monotonic()
        while not (address := ray.get(self.board.address.remote())):
            if self.failure or time.monotonic() - began > START:
                raise RuntimeError(f"the PyTorch workers did not start: {self.failure or 'no answer'}")
            time.sleep(0.2)
        return f"http://{address}", self.token

    def fit(self, trainer: Any) -> None:
        try:
            trainer.fit()
        except BaseException as failure:
            self.failure = failure

    def __exit__(self, *_: object) -> None:
        ray = importlib.import_module("ray")
        ray.get(self.board.end.remote())
        self.thread.join(60)
        ray.kill(self.board)


class Board:
    """Where the workers and the stage tell each other what they need."""

    def __init__(self) -> None:
        self.at, self.meeting, self.ended = "", "", False

    def publish(self, address: str) -> None:
        self.at = address

    def address(self) -> str:
        return self.at

    def meet(self, place: str) -> str:
        self.meeting = place or self.meeting
        return self.meeting

    def end(self) -> None:
        self.ended = True

    def is_ended(self) -> bool:
        return self.ended


def worker(config: dict[str, Any]) -> None:
    """One of Ray Train's workers: starts a process of `tercet.torch` with the group's places and watches it."""
    ray = importlib.import_module("ray")
    context = importlib.import_module("ray.train").get_context()
    board, rank = config["board"], context.get_world_rank()
    host = ray.util.get_node_ip_address()
    if rank == 0:
        ray.get(board.meet.remote(f"{host}:{free_port(host)}"))
    while not (place := ray.get(board.meet.remote(""))):
        time.sleep(0.1)
    master, _, port = place.rpartition(":")
    environment = {
        **os.environ,
        "RANK": str(rank),
        "WORLD_SIZE": str(context.get_world_size()),
        "LOCAL_RANK": str(context.get_local_rank()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "MASTER_ADDR": master,
        "MASTER_PORT": port,
        "TERCET_TOKEN": config["token"],
    }
    words = [sys.executable, "-m", "tercet.torch", "--host", host, "--with-parent"]
    listens = 0
    if rank == 0:
        listens = free_port(host)
        words += ["--port", str(listens)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment)
    try:
        while rank == 0 and process.poll() is None and not answers(host, listens):
            time.sleep(0.2)
        if rank == 0:
            ray.get(board.publish.remote(f"{host}:{listens}"))
        while process.poll() is None and not ray.get(board.is_ended.remote()):
            time.sleep(0.5)
        if process.poll():
            raise RuntimeError(f"the PyTorch worker of rank {rank} ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()


def free_port(host: str) -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex((host, port)) == 0
