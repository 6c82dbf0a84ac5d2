"""The R rows: scripts of Benchmarks/r, each of which measures Roost and its peers in turns and prints a line of JSON."""
import json
import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = ROOT / ".bench/r-library"
SCRIPTS = ROOT / "Benchmarks/r"


def script(name, about):
    """A row: runs a script `rounds` times; its figures, joined."""
    def measure(run, rounds):
        runs = []
        for number in range(rounds):
            runs.append(run(SCRIPTS / f"{name}.R", LIBRARY))
        return {"command": f"`Rscript Benchmarks/r/{name}.R`", "runs": runs}
    measure.__doc__ = about
    return measure


SECONDS = 900     # a script, at most


def run_script(roost, environment):
    """Runs one script, with the package and the binary that belong together."""
    def run(path, library):
        done = subprocess.run(
            ["Rscript", "--vanilla", str(path)], check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            timeout=SECONDS, env=environment(R_LIBS=str(library), ROOST_BIN=roost, BENCH_R=str(SCRIPTS)))
        return json.loads([line for line in done.stdout.decode().splitlines() if line.startswith("{")][-1])
    return run


ROWS = {
    "r-tiny": script("tiny", "Tiny R tasks, one outcome each, an error and a warning in every 1,000; each position checked."),
    "r-alone": script("alone", "One R task alone, from R to R and back, on the embedded pool; peers by their shortest way."),
    "r-data": script("payload", "100 R tasks that each receive and return 1 MB of doubles."),
    "r-export": script("export", "`clusterExport` of 100 MB of fresh doubles, then a sum of them on every worker."),
    "r-uneven": script("uneven", "200 log-normal sleeps on 4 workers, five seeds, over greedy list scheduling of the same."),
    "r-cold": script("cold", "From nothing to the first results of 2 R workers."),
    "r-small": script("small", "Small calls of R on 2 embedded workers, beside what people come from: lone ones with a function made "
                      "anew each time that reads a changing variable, parallel's verbs, foreach, futures; every value checked, the "
                      "peers of a line in turns. mirai is measured where it is installed; reported elsewhere, not measured here: "
                      "mirai 2.7.1 takes 261 µs for a lone call and 0.31 s from nothing, and does 4,370 tasks/s of 5,000 in flight."),
    "r-foreach": script("foreach", "Tiny tasks, one outcome each, through foreach and future.apply: for orientation."),
}


def versions():
    """R and the peers that are installed."""
    names = ["doParallel", "future.apply", "mirai"]
    code = ("cat(R.version.string); for (p in c(%s)) if (requireNamespace(p, quietly = TRUE)) "
            "cat(';', p, as.character(packageVersion(p)))" % ", ".join(f'"{name}"' for name in names))
    try:
        return subprocess.run(["Rscript", "--vanilla", "-e", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=60).stdout.decode().strip() or "no R"
    except (OSError, subprocess.SubprocessError):
        return "no R"


def columns(row):
    """All figures by name: a list of the values of all runs, in order."""
    joined = {}
    for run in row["runs"]:
        for name, values in run.items():
            joined.setdefault(name, []).extend(values)
    return joined


def ratio(ours, theirs):
    """The median of the ratios of neighbours in time."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


# Of r-small: our figure, the peer's, what is measured, the peer's name, the bar over the peer, and whether more is better.
SMALL = [
    ("lone_lbapply", "lone_psock", "one `lbapply(pool, 1L, f)`, p50 µs", "PSOCK `clusterCall`", 2.0, False),
    ("lone_clusterCall", "lone_psock", "one `clusterCall(pool[1], f, 1)`, p50 µs", "PSOCK `clusterCall`", 2.5, False),
    ("lone_async", "lone_psock", "one `results(async(expr))`, p50 µs", "PSOCK `clusterCall`", 2.5, False),
    ("clusterApply_roost", "clusterApply_psock", "`clusterApply`, 5,000 elements, tasks/s", "PSOCK", 3, True),
    ("clusterApplyLB_roost", "clusterApplyLB_psock", "`clusterApplyLB`, 5,000 elements, tasks/s", "PSOCK", 3, True),
    ("clusterMap_roost", "clusterMap_psock", "`clusterMap`, 5,000 elements, tasks/s", "PSOCK", 3, True),
    ("foreach_roost", "foreach_doParallel", "`foreach`, 20,000 iterations, tasks/s", "doParallel", 10, True),
    ("future_roost", "future_cluster", "`future()` and `value()`, one by one, futures/s", "`plan(cluster)`", 10, True),
    ("future_lapply_roost", "future_lapply_cluster", "`future_lapply`, 100,000 elements, tasks/s", "`plan(cluster)`", 1, True),
    ("cold_roost", "cold_psock", "cold start to the first result, s", "PSOCK", 1.2, False),
    ("bulk_roost", "bulk_psock", "`lbapply`, 100,000 elements, tasks/s", "PSOCK `clusterApply`", 45, True),
]


def small_calls(figures, report, spread, count, small):
    """A line for each small call: ours, the peer's, their ratio, the bar. Without the peer there is nothing to compare with."""
    flight = figures["flight_roost"]
    report.add("R: 5,000 `async()` in flight, then all results, tasks/s", spread(flight, count), "≥ 10,000",
               statistics.median(flight) >= 10_000)
    for ours, theirs, what, peer, bar, more in SMALL:
        if ours not in figures or theirs not in figures:
            continue
        show = small if what.endswith(", s") else count
        value = ratio(figures[ours], figures[theirs])
        report.add(f"R: {what}; {peer}: {spread(figures[theirs], show)}", f"{spread(figures[ours], show)}: {value:.2f} ×",
                   f"{'≥' if more else '≤'} {bar} ×", value >= bar if more else value <= bar)
    for name, what in (("lone_mirai", "one `mirai(f(1))[]`, p50 µs"), ("flight_mirai", "5,000 `mirai()` in flight, tasks/s")):
        if name in figures:
            report.add(f"… {what}", spread(figures[name], count), "–", True)


def render(rows, report, spread, count, small):
    """Adds our lines to the report: measure, figure, bar, met."""
    def compare(ours, name, label, bar, show, least=False):
        value = ratio(ours, peers[name])
        met = bar is None or (value >= bar if least else value <= bar)
        sign = "≥" if least else "≤"
        report.add(f"… over {label} at {spread(peers[name], show)}", f"{value:.2f} ×", f"{sign} {bar} ×" if bar else "–", met)

    def start(key, measure, show):
        figures = columns(rows[key])
        ours = figures.pop("roost")
        report.add(measure, spread(ours, show), "–", True)
        return ours, figures

    if "r-tiny" in rows:
        ours, peers = start("r-tiny", "R: 100,000 tiny tasks, one outcome each, tasks/s", count)
        compare(ours, "clusterApply", "`clusterApply`", 20, count, least=True)
        if "mirai" in peers:
            compare(ours, "mirai", "`mirai_map`", None, count, least=True)
    if "r-alone" in rows:
        ours, peers = start("r-alone", "R: one task alone, R to R, embedded, p50 µs", count)
        compare(ours, "psock", "a PSOCK connection", 1.2, count)
        if "mirai" in peers:
            compare(ours, "mirai", "`mirai`", None, count)
    if "r-data" in rows:
        ours, peers = start("r-data", "R: 100 tasks of 1 MB each way, s", small)
        compare(ours, "parLapply", "`parLapply`", 1, small)
    if "r-export" in rows:
        ours, peers = start("r-export", "R: 100 MB exported to 2 workers and used, s", small)
        compare(ours, "clusterExport", "a PSOCK cluster", 1.3, small)
        report.add("… the bridge (server and node) grew by, MB", spread(peers["megabytes"], count), "–", True)
    if "r-uneven" in rows:
        figures = columns(rows["r-uneven"])
        middle = statistics.median(figures["roost"])
        report.add("R: uneven durations, over greedy list scheduling",
                   f"{spread(figures['roost'], lambda value: f'{value:.3f}')} ×", "≤ 1.02 ×", middle <= 1.02)
        report.add("… `clusterApplyLB`, the same",
                   f"{spread(figures['clusterApplyLB'], lambda value: f'{value:.3f}')} ×", "–", True)
    if "r-cold" in rows:
        ours, peers = start("r-cold", "R: 2 workers, cold to first result, s", small)
        compare(ours, "psock", "`makePSOCKcluster(2)`", 1.2, small)
    if "r-small" in rows:
        small_calls(columns(rows["r-small"]), report, spread, count, small)
    if "r-foreach" in rows:
        for name, values in columns(rows["r-foreach"]).items():
            report.add(f"R: tiny tasks, one outcome each, by {name}, tasks/s", spread(values, count), "–", True)
