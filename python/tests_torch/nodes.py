"""Two machines, as two network namespaces with a cable between them. Needs the right to make some."""

import contextlib
import os
import subprocess
import sys

ADDRESSES = {"tercet-a": "10.77.0.1", "tercet-b": "10.77.0.2"}


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def namespaces():
    """Makes both; None where that is not allowed."""
    with contextlib.ExitStack() as stack:
        try:
            for name in ADDRESSES:
                ip("netns", "add", name)
                stack.callback(ip, "netns", "del", name)
            ip("link", "add", "cable-a", "netns", "tercet-a", "type", "veth", "peer", "name", "cable-b", "netns", "tercet-b")
            for name, address in ADDRESSES.items():
                device = f"cable-{name[-1]}"
                ip("-n", name, "address", "add", f"{address}/24", "dev", device)
                for one in (device, "lo"):
                    ip("-n", name, "link", "set", one, "up")
        except (OSError, subprocess.CalledProcessError) as error:
            yield None, getattr(error, "stderr", b"").decode().strip() or str(error)
            return
        yield list(ADDRESSES), None


def two_nodes(runner):
    """A worker of two nodes, one process each, and a driver on the second node: metrics are those of one process."""
    with namespaces() as (names, refused):
        if names is None:
            print(f"SKIPPED: two nodes: no network namespace can be made here ({refused})")
            return
        nodes = []
        try:
            for rank, name in enumerate(names):
                command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
                command += ["--node-rank", str(rank), "--master-addr", ADDRESSES["tercet-a"], "--master-port", "29511"]
                command += ["-m", "tercet.torch", "--threads", "1", "--host", ADDRESSES["tercet-a"], "--port", "7000"]
                environment = os.environ | {"TERCET_TOKEN": "secret", "GLOO_SOCKET_IFNAME": f"cable-{name[-1]}"}
                command = ["ip", "netns", "exec", name, *command]
                # torchrun tells of its own end at length.
                log = open(runner.folder / f"{name}.log", "w")
                nodes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True))
            line = nodes[0].stdout.readline()
            if not line:
                raise SystemExit("no worker came up:\n" + (runner.folder / "tercet-a.log").read_text())
            url = line.split()[-1]
            engine = ["--engine", url]
            said = runner.run("nodes", engine, prefix=["ip", "netns", "exec", "tercet-b"])
            if "2 workers" not in said:
                raise SystemExit(f"not two workers:\n{said}")
            runner.same_losses("torch", "nodes")
            print(f"two nodes at {url}: files travelled, losses are those of one process")
        finally:
            for node in nodes:
                node.terminate()
            for node in nodes:
                node.wait()
