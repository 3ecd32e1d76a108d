"""Pretraining on two hosts: is it the run of one process, what goes over the wire, and what if a process dies?

The hosts are two network namespaces of this machine, joined by a cable of their own (a veth pair). They share no
network but that cable, and a file system, as nodes of a cluster share the folders of stores and runs. torchrun meets
over the cable (c10d), gloo sends over it, and the kernel counts its bytes at every step.

Needs Linux, root and `ip` (iproute2); about a minute on 2 cores. Everything is written to a temporary folder, and
the namespaces are removed at the end, also after an error.

python benchmarks/two_hosts.py [--patients 600] [--batch_size 64] [--failure none|kill|unplug] [--csv two_hosts.csv]
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ADDRESSES = ("192.0.2.1", "192.0.2.2")  # set aside for documentation (RFC 5737): nobody's
PORT = 29511
SETTINGS: dict[str, Any] = {
    "risk": "age_sex",
    "lead": "I",
    "temperature": 0.2,
    "preprocessing": {"fs": 100},
    "optimisation": {"learning_rate": 1e-3, "schedule": "cosine"},
    "accelerator": "cpu",
    "quiet": True,
}
# What is drawn at random depends on the number of processes, unless one process can be told to draw as several do.
WITHOUT_DRAWS = {"views": {"noise": "none", "mask_probability": 0.0}}
COMPARED = ("loss", "loss_contrastive", "loss_alignment", "val_loss", "weight_mean", "effective_rank")


def main() -> None:
    """Run on two hosts and on one, compare, break a run, and print."""
    if sys.argv[1:2] == ["worker"]:
        _work(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=600, help="simulated; 60 %% of them are trained on")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--projector_dim", type=int, default=0)
    parser.add_argument("--backbone", default="resnext1d_small")
    parser.add_argument("--method", default="clef")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--failure", choices=("none", "kill", "unplug"), default="kill")
    parser.add_argument("--patience", type=float, default=90.0, help="s to wait for a broken run to end")
    parser.add_argument("--mbit", type=float, default=0.0, help="Mbit/s of the cable; 0: no limit")
    parser.add_argument("--csv", type=Path, help="where to write the bytes and seconds of each step")
    given = parser.parse_args()
    _check_machine()
    with tempfile.TemporaryDirectory(prefix="two_hosts_") as name, _cabled(given.mbit) as hosts:
        folder = Path(name)
        _prepare(given, folder)
        _wait(_start(folder, "one"), folder / "log/one")
        _wait(_start(folder, "two", hosts), folder / "log/two")
        _print_wire(given, folder)
        rounding = 0.05 if given.precision == "bf16-mixed" else 1e-3
        agree = _agree(folder / "one", folder / "two", rounding)
        if given.failure != "none":
            agree &= _break(given, folder, hosts)
    raise SystemExit(0 if agree else 1)


def _check_machine() -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("ip") is None:
        raise SystemExit(
            "two_hosts.py makes network namespaces: it needs Linux, root and the command ip (iproute2). "
            "For two processes of one host run benchmarks/scaling.py --parts ranks."
        )
    trial = f"clef{os.getpid()}t"
    if subprocess.run(["ip", "netns", "add", trial], capture_output=True, check=False).returncode:
        raise SystemExit("this machine refuses `ip netns add` (is it a container?); run it on another.")
    _ip("netns", "del", trial)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def _cabled(mbit: float) -> Iterator[list[str]]:
    """Two namespaces with a cable between them and nothing else; removed at the end."""
    hosts = [f"clef{os.getpid()}{side}" for side in "ab"]
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the end below is reached
    try:
        for host in hosts:
            _ip("netns", "add", host)
        ends = [["name", _cable(host), "netns", host] for host in hosts]
        _ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        for host, address in zip(hosts, ADDRESSES):
            _ip("-n", host, "addr", "add", f"{address}/30", "dev", _cable(host))
            _ip("-n", host, "link", "set", _cable(host), "up")
            _ip("-n", host, "link", "set", "lo", "up")
            if mbit:
                limit = f"tc qdisc add dev {_cable(host)} root tbf rate {mbit}mbit burst 256kb latency 100ms"
                subprocess.run(["ip", "netns", "exec", host, *limit.split()], check=True)
        yield hosts
    finally:
        for host in hosts:  # the cable goes with them
            subprocess.run(["ip", "netns", "del", host], capture_output=True, check=False)
        signal.signal(signal.SIGTERM, before)


def _cable(host: str) -> str:
    return host.replace("clef", "veth")


def _prepare(given: argparse.Namespace, folder: Path) -> None:
    """Write the store, and the settings of the run on two hosts and of the same run in one process."""
    from openclef.pretraining import pretrain
    from openclef.simulator import simulate

    simulate(folder / "store", patients=given.patients, workers=2).add_risk("age_sex")
    chosen = ("method", "backbone", "batch_size", "epochs", "projector_dim", "precision")
    settings = SETTINGS | {name: getattr(given, name) for name in chosen}
    alone: dict[str, Any] = {}
    if "parts" in inspect.signature(pretrain).parameters:
        alone = {"parts": 2}
    else:
        settings |= WITHOUT_DRAWS
    (folder / "two.yaml").write_text(json.dumps(settings))
    (folder / "one.yaml").write_text(json.dumps(settings | alone))


def _start(
    folder: Path, settings: str, hosts: Sequence[str] = (), name: str = ""
) -> list[subprocess.Popen[bytes]]:
    """Start a run in one process, or one process on each host; its run folder and logs are called `name`."""
    name = name or settings
    (folder / "log").mkdir(exist_ok=True)
    worker = [str(Path(__file__).resolve()), "worker", str(folder / "log" / name)]
    worker += ["pretrain", str(folder / "store"), str(folder / name)]
    worker += ["--config", str(folder / f"{settings}.yaml")]
    if not hosts:
        return [_spawn([sys.executable, *worker], folder / f"log/{name}.a.txt", {})]
    started = []
    for host, address in zip(hosts, ADDRESSES):
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1"]
        torchrun += ["--rdzv_backend=c10d", f"--rdzv_endpoint={ADDRESSES[0]}:{PORT}", f"--rdzv_id={name}"]
        # Both namespaces have this machine's name: say who keeps the meeting, and who is where.
        torchrun += [f"--rdzv_conf=is_host={int(host == hosts[0])}", f"--local_addr={address}"]
        command = ["ip", "netns", "exec", host, *torchrun, *worker]
        environment = {"GLOO_SOCKET_IFNAME": _cable(host)}
        started.append(_spawn(command, folder / f"log/{name}.{host[-1]}.txt", environment))
    return started


def _spawn(command: list[str], output: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )


def _work(log: str, arguments: list[str]) -> None:
    """Be one process of a run: the command `openclef`, noting bytes and time after every step."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from openclef.cli import main

    cable = os.environ.get("GLOO_SOCKET_IFNAME")
    counted = Path(f"/sys/class/net/{cable}/statistics")
    with Path(f"{log}.{os.environ.get('RANK', '0')}.jsonl").open("a", buffering=1) as file:

        def note(*_: object) -> None:
            line: dict[str, float] = {"pid": os.getpid(), "at_s": time.monotonic()}
            line["peak_rss_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for name in ("tx_bytes", "rx_bytes"):
                line[name] = int((counted / name).read_text()) if cable else 0
            file.write(json.dumps(line) + "\n")

        register_optimizer_step_post_hook(note)
        sys.argv = ["openclef", *arguments]
        sys.exit(main())


def _wait(processes: Sequence[subprocess.Popen[bytes]], log: Path, patience: float = 600) -> None:
    """Wait for processes that have to end well."""
    codes, seconds = _end(processes, log, patience)
    if any(code != 0 for code in codes):
        for file in sorted(log.parent.glob(f"{log.name}.*txt")):
            print(file.name, file.read_text(errors="replace")[-3000:], sep="\n", file=sys.stderr)
        raise SystemExit(f"the run {log.name!r} ended with {codes} after {seconds:.0f} s")


def _end(
    processes: Sequence[subprocess.Popen[bytes]], log: Path, patience: float
) -> tuple[list[int | None], float]:
    """Wait up to `patience` seconds; return the exit codes, None where a process had to be killed, and the seconds."""
    begin = time.monotonic()
    codes: list[int | None] = []
    for process in processes:
        try:
            codes.append(process.wait(max(0.1, begin + patience - time.monotonic())))
        except subprocess.TimeoutExpired:
            codes.append(None)
    seconds = time.monotonic() - begin
    if None in codes:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for pid in _pids(log):  # torchrun's workers are in groups of their own
            if str(log) in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
    return codes, seconds


def _pids(log: Path) -> list[int]:
    """Processes of a run that are still there, by rank."""
    last = [steps["pid"].iloc[-1] for steps in _steps(log)]
    return [int(pid) for pid in last if Path(f"/proc/{pid}").exists()]


def _steps(log: Path) -> list[pd.DataFrame]:
    """What each rank noted, one row a step; of the newest process where a run was resumed."""
    tables = []
    for file in sorted(log.parent.glob(f"{log.name}.*.jsonl")):
        lines = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]
        table = pd.DataFrame(lines)
        tables.append(table[table["pid"] == table["pid"].iloc[-1]] if len(table) else table)
    return [table for table in tables if len(table)]


def _within_epochs(steps: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """Differences from step to step, without those that an epoch's end lies in."""
    per_epoch = len(steps) // epochs
    differences = steps[["at_s", "tx_bytes", "rx_bytes"]].diff()
    return differences[np.arange(len(steps)) % per_epoch != 0]


def _print_wire(given: argparse.Namespace, folder: Path) -> None:
    """Print seconds and memory a process, and the bytes of a step beside what the formula says."""
    one, *_ = _steps(folder / "log/one")
    two = _steps(folder / "log/two")
    parameters, dim, item = _sizes(given)
    hosts, share = 2, given.batch_size // 2
    known = 12 if given.method == "simclr" else 16  # risk 4, completeness 4, subject 8
    expected = {
        "gradients, all-reduced: 2 (W-1)/W 4 P": 2 * (hosts - 1) / hosts * 4 * parameters,
        "embeddings, gathered: 2 (W-1) b E s": 2 * (hosts - 1) * share * dim * item,
        "their gradients, scattered: 2 (W-1) b E s": 2 * (hosts - 1) * share * dim * item,
        f"risk, completeness, subject: {known} (W-1) b": known * (hosts - 1) * share,
    }
    print(
        f"{given.method}, {given.backbone}, batch {given.batch_size} over W = 2 hosts (b = {share} each), "
        f"P = {parameters:,} parameters, E = {dim}, s = {item} bytes, {len(two[0])} steps"
    )
    print("\nbytes that a host sends, a step")
    for name, value in expected.items():
        print(f"  {name:<45}{value:>12,.0f}")
    total = sum(expected.values())
    print(f"  {'formula':<45}{total:>12,.0f}")
    rows = []
    for host, steps in zip("ab", two):
        each = _within_epochs(steps, given.epochs)
        rows.append(each.assign(host=host))
        sent, received = each["tx_bytes"].mean(), each["rx_bytes"].mean()
        print(
            f"  {f'host {host}, counted by the kernel':<45}{sent:>12,.0f}  ({sent / total - 1:+.1%}; "
            f"received {received:,.0f}; whole run {steps['tx_bytes'].iloc[-1]:,.0f})"
        )
    alone = _within_epochs(one, given.epochs)
    print("\nprocess                 ms a step   peak memory")
    for name, steps, each in (("one", one, alone), ("host a", two[0], rows[0]), ("host b", two[1], rows[1])):
        memory = steps["peak_rss_bytes"].iloc[-1] / 2**20
        print(f"  {name:<20}{1000 * each['at_s'].median():>11.1f}{memory:>10,.0f} MiB")
    if given.csv is not None:
        pd.concat(rows).to_csv(given.csv, index_label="step")


def _sizes(given: argparse.Namespace) -> tuple[int, int, int]:
    """Parameters, size of the embedding that is compared, bytes of one of its numbers."""
    from openclef.backbone import BACKBONES
    from openclef.method import METHODS

    backbone = BACKBONES[given.backbone](leads=1)
    module = METHODS[given.method](backbone, projector_dim=given.projector_dim)
    parameters = sum(each.numel() for each in module.parameters())
    item = 2 if given.precision == "bf16-mixed" else 4
    return parameters, given.projector_dim or int(backbone.dim), item  # type: ignore[arg-type]


def _agree(one: Path, two: Path, rounding: float) -> bool:
    """Print how far weights and losses of two runs are apart; tell whether that is no more than `rounding`."""
    from safetensors.numpy import load_file

    first, second = (load_file(run / "model/model.safetensors") for run in (one, two))
    largest = max(float(np.abs(value).max()) for value in first.values())
    apart = max(float(np.abs(first[name] - second[name]).max()) for name in first)
    tables = [pd.read_csv(run / "metrics.csv") for run in (one, two)]
    columns = [name for name in COMPARED if name in tables[0]]
    losses = float((tables[1][columns] / tables[0][columns] - 1).abs().max().max())
    fits = apart <= rounding * largest and losses <= rounding
    print(
        f"\n{one.name} against {two.name}: weights at most {apart:.2g} apart (largest {largest:.2g}), "
        f"{', '.join(columns)} at most {losses:.2g} (relative): {'agree' if fits else 'DIFFER'}"
    )
    return fits


def _break(given: argparse.Namespace, folder: Path, hosts: list[str]) -> bool:
    """Kill a process, or pull the cable, in the last epoch; then resume, and compare with the run that went well."""
    log = folder / "log/broken"
    processes = _start(folder, "two", hosts, name="broken")
    per_epoch = len(_steps(folder / "log/two")[0]) // given.epochs
    late = (given.epochs - 1) * per_epoch + 1
    while not (len(_steps(log)) == 2 and all(len(steps) >= late for steps in _steps(log))):
        if any(process.poll() is not None for process in processes):
            raise SystemExit("the run that was to be broken ended before")
        time.sleep(0.02)
    if given.failure == "kill":
        os.kill(_pids(log)[1], signal.SIGKILL)
    else:
        _ip("-n", hosts[1], "link", "set", _cable(hosts[1]), "down")
    codes, seconds = _end(processes, log, given.patience)
    what = "process of host b killed" if given.failure == "kill" else "cable of host b pulled"
    if None in codes:
        print(
            f"\n{what}: still waiting after {seconds:.0f} s (exit codes {codes}, None = killed by this script)"
        )
    else:
        print(f"\n{what}: both hosts ended with an error after {seconds:.1f} s (exit codes {codes})")
    if given.failure == "unplug":
        _ip("-n", hosts[1], "link", "set", _cable(hosts[1]), "up")
    _wait(_start(folder, "two", hosts, name="broken"), log)
    print("the same command again went on from the checkpoint and finished")
    return _agree(folder / "two", folder / "broken", 0.0) and None not in codes and all(codes)


if __name__ == "__main__":
    main()
