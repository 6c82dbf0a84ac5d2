"""Measures Roost against its bars and its peers; writes Benchmarks/RESULTS.md.

    python3 scripts/bench.py [all | tasks | embedded | map | idle | cold | r | r-tiny | r-alone | …] ...

Figures of each row are kept in .bench/results.json, so that one row can be measured again alone; what the report says of rows that
were measured elsewhere stays. Processes are started
one at a time, in directories of their own, and ended by pid.
"""
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import bench_r

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / ".build/release/roost"))
ROUNDS = int(os.environ.get("ROOST_BENCH_ROUNDS", "3"))
STORE = ROOT / ".bench/results.json"
REPORT = ROOT / "Benchmarks/RESULTS.md"
TICKS = os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------- running things

def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def environment(**more):
    """Ours, without what would change how Roost behaves."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    return {**kept, **more}


def output_of(command, limit=600, **options):
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, timeout=limit, env=environment(), stdin=subprocess.DEVNULL,
        **options)
    return done.stdout.decode()


def seconds_of(command, limit=600, stdin=None):
    """Wall time of a command that must succeed."""
    with open(stdin or os.devnull, "rb") as source, open(os.devnull, "wb") as sink:
        start = time.perf_counter()
        subprocess.run(
            command, check=True, stdin=source, stdout=sink, stderr=subprocess.DEVNULL, timeout=limit,
            env=environment())
        return time.perf_counter() - start


@contextlib.contextmanager
def running(command, log, **more):
    """A process for the time of a block, ended by its pid."""
    with open(log, "wb") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment(**more))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(what, limit, condition):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise SystemExit(f"bench: {what} did not happen within {limit} s")


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"bench: process {pid} is gone")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def median(values):
    return statistics.median(values)


def spread(values, show):
    return f"{show(median(values))} ({show(min(values))}–{show(max(values))}, n={len(values)})"


# ---------------------------------------------------------------- the rows

def million_tasks(row, *options):
    """What `roost bench` says of a million tasks of 100 bytes, each round."""
    command = [ROOST, "bench", *options, "--tasks", "1000000", "--payload", "100", "--output", "json"]
    runs = []
    for number in range(ROUNDS):
        runs.append(json.loads(output_of(command)))
        say(f"{row} {number + 1}/{ROUNDS}: {runs[-1]}")
    return {"command": shown(command), "runs": runs}


def measure_tasks():
    """Throughput, latency and server CPU: client, server and a zero-worker node, three processes, TLS on loopback."""
    return million_tasks("tasks", "--nodes", "1")


def measure_embedded():
    """Latency of one task alone on the embedded pool."""
    return million_tasks("embedded", "--embedded")


def measure_durable():
    """The same through the server's disk, in turns with attached jobs, beside what one sync of this disk costs."""
    base = [ROOST, "bench", "--tasks", "300000", "--payload", "100", "--nodes", "1", "--output", "json"]
    runs = []
    for number in range(ROUNDS):
        run = {kind: json.loads(output_of(base + more)) for kind, more in (("attached", []), ("durable", ["--durable"]))}
        runs.append(run | {"sync_us": sync_microseconds()})
        say(f"durable {number + 1}/{ROUNDS}: {runs[-1]}")
    return {"command": shown(base + ["--durable"]), "runs": runs}


def measure_restart():
    """A killed server's next start, until it listens, with a million finished durable tasks and a million queued ones."""
    return million_tasks("restart", "--restart")


def sync_microseconds(count=300):
    """The median time of an appended page and its fdatasync, where `roost bench` has its data directory."""
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(count):
            file.write(bytes(4096))
            file.flush()
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1e6)
    return median(times)


def measure_map(tasks=10_000):
    """`true` over 10,000 inputs, two at a time: Roost and its peers in turns."""
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as directory:
        inputs = f"{directory}/inputs"
        pathlib.Path(inputs).write_text("".join(f"{number}\n" for number in range(1, tasks + 1)))
        commands = {
            "roost": [ROOST, "map", "-j2", "true"],
            "xargs": ["xargs", "-P2", "-n1", "true"],
            "parallel": ["parallel", "-j2", "true"],
        }
        python = str(ROOT / ".bench/hyperqueue/bin/python")
        hyperqueue = [python, str(ROOT / "scripts/bench_hyperqueue.py"), str(tasks), "2"]
        rates = {name: [] for name in [*commands, "hyperqueue"]}
        for number in range(ROUNDS):
            for name, command in commands.items():
                rates[name].append(tasks / seconds_of(command, stdin=inputs))
            lines = output_of(hyperqueue, stderr=subprocess.DEVNULL).splitlines()
            found = json.loads([line for line in lines if line.startswith("{")][-1])
            # The better of its two rates: polling is not held against it.
            rates["hyperqueue"].append(max(found["end_to_end"], found["slope"] or 0))
            say(f"map {number + 1}/{ROUNDS}: " + ", ".join(f"{name} {rates[name][-1]:.0f}/s" for name in rates))
        return {
            "tasks": tasks, "rates": rates, "hyperqueue_version": found["version"],
            "command": " · ".join(f"`{shown(command)} < inputs`" for command in commands.values())
            + " · HyperQueue: 10,000 × `true` without output files, one worker with 2 cpus, on loopback",
        }


def measure_idle(nodes=1000, processes=4, seconds=60):
    """What a thousand idle nodes cost the server, over TLS."""
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as directory, contextlib.ExitStack() as stack:
        ready = pathlib.Path(directory, "ready")
        command = [ROOST, "server", "start", "--listen", "127.0.0.1:0", "--data", f"{directory}/data",
                   "--ready-file", str(ready), "--log-level", "error"]
        server = stack.enter_context(running(command, f"{directory}/server.log"))
        until("the start of the server", 30, lambda: ready.exists() and ready.read_text().strip())
        url = f"roost://{ready.read_text().strip()}"

        def token(role):
            return output_of([ROOST, "token", "create", "--role", role, "--data", f"{directory}/data"]).strip()

        observer = token("observer")

        def connected():
            status = subprocess.run(
                [ROOST, "server", "status", "--pool", url, "--output", "json"], check=True, stdout=subprocess.PIPE,
                timeout=30, env=environment(ROOST_TOKEN=observer))
            snapshot = json.loads(status.stdout)
            return sum(1 for node in snapshot["nodes"] if node["state"] == "connected")

        # The first query warms what every query needs; it is no part of a node's price.
        assert connected() == 0
        time.sleep(2)
        empty = resident_bytes(server.pid)
        node_token = token("node")
        agent = None
        for number in range(processes):
            agent = [ROOST, "node", "start", "--zero", "--connections", str(nodes // processes), "--pool", url,
                     "--name", f"idle-{number}", "--state", f"{directory}/node-{number}"]
            stack.enter_context(running(agent, f"{directory}/node-{number}.log", ROOST_TOKEN=node_token))
        until(f"the joining of {nodes} nodes", 120, lambda: connected() >= nodes)
        time.sleep(5)
        before = cpu_seconds(server.pid)
        time.sleep(seconds)
        used = cpu_seconds(server.pid) - before
        full = resident_bytes(server.pid)
        assert connected() == nodes, "all nodes are still connected"
        figures = {
            "command": f"`{shown(agent)}`, {processes} times", "nodes": nodes, "empty": empty, "full": full,
            "kib_per_node": (full - empty) / nodes / 1024, "cpu_percent": 100 * used / seconds, "seconds": seconds,
        }
        say(f"idle: {figures['kib_per_node']:.1f} KiB a node, {figures['cpu_percent']:.1f} % of a core")
        return figures


def measure_cold(runs=40):
    """A whole start for one small task, in turns."""
    commands = {"roost": [ROOST, "map", "-j2", "echo", ":::", "a"], "parallel": ["parallel", "-j2", "echo", ":::", "a"]}
    times = {name: [] for name in commands}
    for command in commands.values():
        seconds_of(command)
    for _ in range(runs):
        for name, command in commands.items():
            times[name].append(seconds_of(command) * 1000)
    say("cold: " + ", ".join(f"{name} {median(times[name]):.1f} ms" for name in times))
    return {"command": " · ".join(f"`{shown(command)}`" for command in commands.values()), "ms": times}


ROWS = {
    "tasks": measure_tasks, "durable": measure_durable, "restart": measure_restart, "embedded": measure_embedded, "map": measure_map,
    "idle": measure_idle, "cold": measure_cold, **bench_r.ROWS,
}


def measure(name):
    """R's rows need the package that belongs to the binary; scripts/bench.sh has installed it."""
    if name not in bench_r.ROWS:
        return ROWS[name]()
    row = bench_r.ROWS[name](bench_r.run_script(ROOST, environment), ROUNDS)
    for run in row["runs"]:
        say(f"{name}: {run}")
    return row


# ---------------------------------------------------------------- the report

def shown(command):
    return " ".join("roost" if word == ROOST else pathlib.Path(word).name if "/roost-bench-" in word else word
                    for word in command)


def version_of(command):
    try:
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30).stdout.decode()
        return text.splitlines()[0].strip() if text else "?"
    except (OSError, subprocess.SubprocessError):
        return "not here"


def machine():
    facts = pathlib.Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in facts.splitlines() if line.startswith("model name")), "?")
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return (f"{len(os.sched_getaffinity(0))} × {model}, {memory:.0f} GiB, "
            f"{release.get('PRETTY_NAME', '?').strip(chr(34))}, Linux {platform.release()}")


def commit():
    try:
        name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE).stdout.decode()
        dirty = subprocess.run(["git", "status", "--porcelain", "--", "Sources", "r", "Package.swift"], cwd=ROOT,
                               stdout=subprocess.PIPE).stdout
        return name.strip() + (" and changes" if dirty.strip() else "")
    except OSError:
        return "?"


def count(value):
    return f"{value:,.0f}"


def small(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


class Report:
    """Lines of the table: measure, figure, bar, whether it was met."""

    def __init__(self):
        self.lines = []
        self.missed = []

    def add(self, measure, figure, bar, met):
        self.lines.append(f"| {measure} | {figure} | {bar} | {'yes' if met else '**no**'} |")
        if not met:
            self.missed.append(measure)


def topic(line):
    """What a line of the table, or of the notes below it, is about: without figures, which change."""
    return line.split("|")[1].split(";")[0].strip() if line.startswith("|") else line.split("**")[1]


def with_older(lines, older):
    """New lines in the places of older ones about the same; what was not measured here stays as it was. Lines that begin with … belong
    to the line above."""
    def grouped(lines):
        groups = {}
        for line in lines:
            if line.startswith("| … "):
                groups[last].append(line)
            else:
                last = topic(line)
                groups[last] = [line]
        return groups
    return [line for group in (grouped(older) | grouped(lines)).values() for line in group]


def render(rows, older=""):
    """The report; lines of `older` about rows that this machine has no figures of are kept."""
    report = Report()
    if "tasks" in rows:
        runs = rows["tasks"]["runs"]
        column = lambda key: [run[key] for run in runs]
        report.add("no-op tasks through server and node, tasks/s", spread(column("tasks_per_second"), count),
                   "≥ 300,000", median(column("tasks_per_second")) >= 300_000)
        report.add("one task alone, p50 µs", spread(column("p50_us"), small), "≤ 350", median(column("p50_us")) <= 350)
        report.add("server CPU per task, µs", spread(column("server_cpu_us_per_task"), small), "≤ 3",
                   median(column("server_cpu_us_per_task")) <= 3)
    if "durable" in rows:
        runs = rows["durable"]["runs"]
        rates = [run["durable"]["tasks_per_second"] for run in runs]
        report.add("durable no-op tasks, tasks/s", spread(rates, count), "≥ 100,000", median(rates) >= 100_000)
        p50 = [run["durable"]["p50_us"] for run in runs]
        attached, sync = (median([get(run) for run in runs]) for get in
                          (lambda run: run["attached"]["p50_us"], lambda run: run["sync_us"]))
        report.add("one durable task alone, p50 µs", spread(p50, small),
                   f"≤ {attached:.0f} attached + 3 × {sync:.0f} a sync", median(p50) <= attached + 3 * sync)
    if "restart" in rows:
        runs = rows["restart"]["runs"]
        seconds, mebibytes = ([run["seconds"] for run in runs], [run["most_bytes"] / (1 << 20) for run in runs])
        report.add("server's start after kill -9 with 1,000,000 finished and 1,000,000 queued durable tasks, s",
                   spread(seconds, small), "≤ 5", median(seconds) <= 5)
        report.add("… and its most memory, MiB", spread(mebibytes, small), "≤ 381", median(mebibytes) * (1 << 20) <= 400e6)
    if "embedded" in rows:
        runs = rows["embedded"]["runs"]
        p50 = [run["p50_us"] for run in runs]
        report.add("one task alone, embedded, p50 µs", spread(p50, small), "≤ 100", median(p50) <= 100)
    if "map" in rows:
        rates = rows["map"]["rates"]
        ours = median(rates["roost"])
        report.add("`roost map -j2 true`, 10,000 inputs, tasks/s", spread(rates["roost"], count), "–", True)
        for name, label, bar in [("hyperqueue", "HyperQueue", 1.2), ("parallel", "GNU parallel", 4), ("xargs", "xargs -P2", 0.9)]:
            peer = rates[name]
            report.add(f"… over {label} at {spread(peer, count)}", f"{ours / median(peer):.2f} ×", f"≥ {bar} ×",
                       ours >= bar * median(peer))
    if "idle" in rows:
        row = rows["idle"]
        report.add("server memory per idle node, KiB", f"{row['kib_per_node']:.1f} "
                   f"({row['empty'] / 2**20:.0f} MiB at 0, {row['full'] / 2**20:.0f} MiB at {row['nodes']:,})", "≤ 64",
                   row["kib_per_node"] <= 64)
        report.add(f"server CPU for {row['nodes']:,} idle nodes, % of a core over {row['seconds']} s",
                   f"{row['cpu_percent']:.1f}", "≤ 50", row["cpu_percent"] <= 50)
    if "cold" in rows:
        ms = rows["cold"]["ms"]
        ratio = median(ms["roost"]) / median(ms["parallel"])
        report.add("cold `roost map -j2 echo ::: a`, ms", spread(ms["roost"], small), "–", True)
        report.add(f"… over GNU parallel's {spread(ms['parallel'], small)}", f"{ratio:.2f} ×", "≤ 0.5 ×", ratio <= 0.5)
    bench_r.render(rows, report, spread, count, small)

    older = older.splitlines()
    peers = (f"- Peers: {version_of(['parallel', '--version'])}; {version_of(['xargs', '--version'])}; "
             f"HyperQueue {rows['map']['hyperqueue_version']}" if "map" in rows
             else next((line for line in older if line.startswith("- Peers:")), "- Peers: not measured"))
    table = [line for line in older if line.startswith("| ") and not line.startswith("| Measure ")]
    lines = [
        "# Results", "",
        "Written by `make bench`; do not edit. Medians, with the least and the most of n runs. Each row was measured on one machine",
        "on the day that is given below: read ratios before absolutes.", "",
        f"- Machine: {machine()}",
        f"- Swift: {version_of(['swift', '--version'])}",
        peers,
        f"- R: {bench_r.versions()}", "",
        "| Measure | Roost | Bar | Met |", "|---|---|---|---|", *with_older(report.lines, table), "",
        "## How", "",
    ]
    notes = []
    for name in ROWS:
        if name in rows:
            command = rows[name]["command"]
            command = command if "`" in command else f"`{command}`"
            notes.append(f"- **{name}** ({rows[name]['date']}, commit {rows[name]['commit']}, load before "
                         f"{rows[name]['load']:.1f}): "
                         f"{ROWS[name].__doc__} {command}")
    lines += with_older(notes, [line for line in older if line.startswith("- **")])
    lines += [
        "",
        "HyperQueue is run by its Python package, server and worker in one process, the client in another. Its wait",
        "polls once a second; the rate given is the better of the end-to-end one and the slope between polls.",
        "",
    ]
    return "\n".join(lines), report


def main():
    wanted = sys.argv[1:] or ["all"]
    if "all" in wanted:
        wanted = list(ROWS)
    wanted = [row for name in wanted for row in (bench_r.ROWS if name == "r" else [name])]
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        raise SystemExit(f"bench: no such row: {' '.join(unknown)}; there are {' '.join(ROWS)}, r for all of R's")
    if not shutil.which(ROOST):
        raise SystemExit(f"bench: {ROOST} is not there; run 'make build' first")
    rows = json.loads(STORE.read_text()) if STORE.exists() else {}
    for name in wanted:
        say(f"{name}: {ROWS[name].__doc__}")
        load = os.getloadavg()[0]
        if load > 1:
            say(f"this machine is busy (load {load:.1f}): the figures will be worse, and more so for some than for others")
        rows[name] = measure(name)
        rows[name]["load"] = load
        rows[name]["date"] = datetime.date.today().isoformat()
        rows[name]["commit"] = commit()
        STORE.parent.mkdir(exist_ok=True)
        STORE.write_text(json.dumps(rows))
    text, report = render(rows, REPORT.read_text() if REPORT.exists() else "")
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text)
    print("\n".join(report.lines))
    say(f"written to {REPORT.relative_to(ROOT)}")
    if report.missed:
        say(f"{len(report.missed)} bars missed")


main()
