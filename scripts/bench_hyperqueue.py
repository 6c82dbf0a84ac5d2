"""Rate of HyperQueue for tasks that run `true`: server and worker on loopback, started by its own Python package.

Server and worker are in this process, the client in another one: a worker starts tasks with fork(), whose cost grows
with the memory of its process, and the client's ten thousand task objects are none of its business.

Prints one JSON object. Two rates are given, because the package's wait polls once a second: the end-to-end one, and
the slope between two polls of the count of finished tasks, which has no polling in it. Started by bench.py, with the
interpreter of the environment that has the package.
"""
import json
import logging
import os
import subprocess
import sys
import tempfile
import time


def cluster(tasks: str, cores: str) -> None:
    from hyperqueue import LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with tempfile.TemporaryDirectory(prefix="roost-bench-hq-") as directory:
        os.chdir(directory)
        with LocalCluster(directory, WorkerConfig(cores=int(cores))):
            subprocess.run([sys.executable, __file__, "client", directory, tasks], check=True, timeout=600)
        os.chdir("/")


def client(directory: str, tasks: int) -> None:
    from hyperqueue import Client, Job
    from hyperqueue.ffi import get_version

    logging.disable(logging.CRITICAL)
    connection = Client(directory)

    def job(count):
        made = Job()
        for _ in range(count):
            made.program(["true"], stdout=None, stderr=None)
        return made

    def run(made, note):
        submitted = connection.submit(made)
        if connection.connection.wait_for_jobs([submitted.id], note):
            raise SystemExit("HyperQueue: tasks failed")

    run(job(100), lambda jobs: None)
    made = job(tasks)
    samples = []
    start = time.monotonic()
    run(made, lambda jobs: samples.append((time.monotonic(), sum(state["finished"] for state in jobs.values()))))
    seconds = time.monotonic() - start
    running = [(at, done) for at, done in samples if 0 < done < tasks]
    slope = None
    if len(running) >= 3:
        slope = (running[-1][1] - running[0][1]) / (running[-1][0] - running[0][0])
    print(json.dumps({
        "version": get_version(), "tasks": tasks, "seconds": seconds, "end_to_end": tasks / seconds, "slope": slope,
    }))


if sys.argv[1] == "client":
    client(sys.argv[2], int(sys.argv[3]))
else:
    cluster(sys.argv[1], sys.argv[2])
