"""A real Slurm for the tests: a controller and several nodes on this machine, with pretended GPUs.

It needs Debian's packages `slurm-wlm` and `munge`, no rights, no systemd and nothing outside its folder: neither a
Slurm nor a munge that is set up on the machine is seen or touched.
"""

import ctypes
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "srun", "squeue", "sinfo", "scontrol", "scancel")
CPUS_PER_NODE = 4
MEMORY_PER_NODE_MB = 16_000
# A plain user's PATH lacks the folders of daemons.
SEARCH_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Cluster:
    """A running cluster; its default partition `main` has all nodes, called node1, node2 and so on."""

    folder: Path
    environment: dict[str, str]
    """All of a process's environment; in it Slurm's commands speak to this cluster."""
    supervisor: int
    """Process whose descendants are the daemons, the jobs and all that they start."""

    def run(self, *command: str) -> str:
        """What a command of Slurm prints; CalledProcessError if it fails."""
        return subprocess.run(
            command, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def sinfo(self) -> str:
        return self.run("sinfo", "--Node", "--format", "%N %t %C %G %E")

    def squeue(self) -> str:
        """Every job, ended ones too."""
        return self.run("squeue", "--states=all", "--sort=i", "--format", "%i %T %N %C %m %l %M %k")

    def jobs(self) -> list[dict[str, str]]:
        """What `scontrol show job` says of each job, ended ones too, oldest first."""
        text = self.run("scontrol", "show", "job", "--oneliner")
        return [
            dict(re.findall(r"(\S+?)=(.*?)(?=\s+[A-Z]\S*?=|\s*$)", line))
            for line in text.splitlines()
            if line.startswith("JobId=")
        ]

    def job(self, job: str) -> str:
        """All that Slurm knows of a job."""
        return self.run("scontrol", "show", "job", "--details", job).strip()

    def cancel(self, job: str) -> None:
        self.run("scancel", job)

    def drain(self, node: str) -> None:
        """Let the node take no further jobs."""
        self.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")

    def fail(self, node: str) -> None:
        """Take the node out of service, with the jobs that run on it."""
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def resume(self, node: str) -> None:
        self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")

    def processes(self) -> list[psutil.Process]:
        """The daemons, the jobs and all that they have started."""
        return psutil.Process(self.supervisor).children(recursive=True)


def missing() -> str | None:
    """Why no Slurm can be had here, or None."""
    if sys.platform != "linux":
        return "Slurm needs Linux"
    lacking = [name for name in DAEMONS + COMMANDS if not shutil.which(name, path=SEARCH_PATH)]
    if lacking:
        return f"not installed: {', '.join(lacking)} (Debian's packages slurm-wlm and munge)"
    return None


@contextmanager
def slurm_cluster(folder: Path, gpus: Sequence[int] = (1, 1, 1)) -> Iterator[Cluster]:
    """Bring up a Slurm in the empty `folder`, one idle node for each entry of `gpus`, its number of GPUs.

    Each node has 4 CPUs and 16 GB, whatever the machine has; neither is enforced. Afterwards nothing that was started
    is left, jobs included, also if the process that called this is killed.

    Raises
    ------
    RuntimeError : if the nodes do not become idle; with the last lines of the daemons' logs.
    """
    nodes = {f"node{number}": n_gpus for number, n_gpus in enumerate(gpus, start=1)}
    for path in ("bin", "gpus", "logs", "state", *(f"spool/{name}" for name in nodes)):
        (folder / path).mkdir(parents=True)
    _write_configuration(folder, nodes)
    environment = _environment(folder)
    munged = [
        *("munged", "--foreground", "--force", "--key-file", f"{folder}/munge.key"),
        *("--socket", f"{folder}/munge.socket", "--seed-file", f"{folder}/munge.seed"),
        *("--pid-file", f"{folder}/munged.pid"),
    ]
    commands = {
        "munged": munged,
        "slurmctld": ["slurmctld", "-D"],
        **{name: ["slurmd", "-D", "-N", name] for name in nodes},
    }
    daemons = [[command, f"{folder}/logs/{name}.log"] for name, command in commands.items()]
    # In a session of its own, so that Ctrl-C does not reach it before the tests are done with it.
    supervisor = subprocess.Popen(
        [sys.executable, __file__, json.dumps(daemons)],
        env=environment,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        cluster = Cluster(folder, environment, supervisor.pid)
        _wait_until_idle(cluster, supervisor, list(nodes))
        yield cluster
    finally:
        supervisor.stdin.close()
        supervisor.wait()


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment for the cluster in `folder`, without what another Slurm has set."""
    others = ("SLURM", "SBATCH_", "SRUN_", "SINFO_", "SQUEUE_", "SCANCEL_", "CUDA_VISIBLE_DEVICES")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return inherited | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{folder}/bin:{SEARCH_PATH}"}


def _write_configuration(folder: Path, nodes: dict[str, int]) -> None:
    controller_port, *node_ports = _free_ports(1 + len(nodes))
    host, user = socket.gethostname().partition(".")[0], psutil.Process().username()
    node_lines = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS_PER_NODE} "
        f"RealMemory={MEMORY_PER_NODE_MB}" + f" Gres=gpu:{n_gpus}" * (n_gpus > 0)
        for (name, n_gpus), port in zip(nodes.items(), node_ports, strict=True)
    ]
    settings = f"""
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=20
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
PlugStackConfig={folder}/plugstack.conf
SlurmctldSyslogDebug=quiet
SlurmdSyslogDebug=quiet
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Without an accounting database a job that has ended is known only as long as the controller remembers it.
MinJobAge=3600
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=1
KillWait=5
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
"""
    partition = "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
    (folder / "slurm.conf").write_text("\n".join([settings.strip(), *node_lines, partition, ""]))
    gpu_lines = []
    for name, n_gpus in nodes.items():
        for number in range(n_gpus):
            # Slurm takes any device for a GPU.
            device = folder / "gpus" / f"{name}-{number}"
            device.symlink_to("/dev/null")
            gpu_lines.append(f"NodeName={name} Name=gpu File={device} Flags=nvidia_gpu_env\n")
    (folder / "gres.conf").write_text("".join(gpu_lines))
    (folder / "plugstack.conf").touch()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    # Snakemake's job steps call srun without SLURM_CONF, and would look for a cluster in /etc.
    wrapper = folder / "bin" / "srun"
    srun = shutil.which("srun", path=SEARCH_PATH)
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF="{folder}/slurm.conf" exec {srun} "$@"\n')
    wrapper.chmod(0o755)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


def _wait_until_idle(cluster: Cluster, supervisor: subprocess.Popen, names: list[str]) -> None:
    command = ["sinfo", "--noheader", "--Node", "--format", "%N %t"]
    expected, deadline = [f"{name} idle" for name in names], time.monotonic() + 60
    while time.monotonic() < deadline and supervisor.poll() is None:
        answer = subprocess.run(
            command, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout
        if [line.strip() for line in answer.splitlines()] == expected:
            return
        time.sleep(0.05)
    logs = [
        "\n".join([f"{path.name}:", *path.read_text(errors="replace").splitlines()[-10:]])
        for path in sorted((cluster.folder / "logs").iterdir())
    ]
    raise RuntimeError("\n\n".join([f"Slurm did not start. sinfo says: {answer.strip()}", *logs]))


def _supervise(daemons: list[list]) -> None:
    """Run daemons, each given as its command and its log, until one of them ends or standard input is closed.

    Then end every process that they have started. The pipe closes however its other side ends.
    """
    set_child_subreaper = 36
    # Jobs leave their daemon's session and outlive it; they become children of this process, not of init.
    ctypes.CDLL(None).prctl(set_child_subreaper, 1)
    started = []
    try:
        for command, log in daemons:
            with Path(log).open("wb") as file:
                started.append(
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
                )
        ended = set()
        while not (ended & {daemon.pid for daemon in started} or select.select([sys.stdin], [], [], 0.1)[0]):
            ended = _reap()
    finally:
        while children := psutil.Process().children(recursive=True):
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            psutil.wait_procs(children, timeout=1)


def _reap() -> set[int]:
    """The children that have ended since the last time."""
    ended = set()
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.add(pid)


if __name__ == "__main__":
    _supervise(json.loads(sys.argv[1]))
