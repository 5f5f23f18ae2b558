"""What the engine of a study costs: overhead, speed-up, reuse, memory, and a projection to 64 workers.

python -m benchmarks.study overhead 200       # engine against the sum of its solves
python -m benchmarks.study workers 200        # two workers against one
python -m benchmarks.study empty 10000        # the engine alone, with endings that cost nothing
python -m benchmarks.study memory 1000        # client and worker over many cases
python -m benchmarks.study neighbours 30      # a sweep against separate planner plan calls
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from planner.study.engine import Progress, run_study
from planner.study.expand import Question
from planner.study.spec import Study
from planner.study.work import Address, Answer, Start, pack, solve

#: Megabytes of the worker and processor seconds of the solve, case by case in the order of their endings.
Log = list[tuple[float, ...]]

#: Futures that the default case survives and that change its plan.
FUTURES = ("demand-outruns", "factory-control", "lithium-triples", "new-chemistries-late")
#: Gap at which these cases take about a second: the shorter they are, the more the engine counts.
_SHORT_GAP = 0.02
#: Separate calls that are measured; the rest would take as long each.
_SEPARATE = 6


def sweep(count: int, case: str = "tiny", scenarios: Sequence[str] = (), gap_frac: float = 0.01) -> Study:
    """A sweep of ``count`` neighbouring cases: the price of late load, under each scenario and under none."""
    futures = {"as-today": [], **{name: [name] for name in scenarios}}
    values = [1_000_000 + 1000 * n for n in range(count // len(futures))]
    return Study.model_validate(
        {
            "study": f"sweep-{count}",
            "cases": [case],
            "set": {"solver.gap_frac": gap_frac},
            "scenarios": futures,
            "grid": {"load.delay_usd_per_mw_yr": values},
        }
    )


def find_nothing(questions: list[Question]) -> list[Address]:
    """Addresses without reading a case."""
    made = []
    for q in questions:
        text = hashlib.sha256(repr(q.overrides).encode()).hexdigest()
        made.append(Address(q.index, text[:40], text))
    return made


def answer_nothing(question: Question, address: str, known: object) -> Answer:
    """An ending that costs nothing."""
    record = {
        "address": address,
        "input_sha256": address,
        "plan": None,
        "rows": [],
        "choices": {},
        "status": "infeasible",
        "reason": "empty",
    }
    return Answer(address, "infeasible", pack(record | {"solve_s": 0.0}), 0.0)


def solve_and_log(question: Question, address: str, neighbour: Start) -> Answer:
    """Solve, and append the memory of this process in MB and the processor seconds of the solve to a file."""
    used = time.process_time()
    found = solve(question, address, neighbour)
    with Path(os.environ["STUDY_LOG"]).open("a") as file:
        file.write(f"{memory_mb():.1f} {time.process_time() - used:.4f}\n")
    return found


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def cpu_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def run(study: Study, workers: int = 1, progress: Progress = lambda counts: None) -> tuple[dict[str, float], Log]:
    """Run a study with real solves: seconds by the wall and of processors, and what workers logged, case by case."""
    with tempfile.TemporaryDirectory() as out:
        log = Path(out) / "log.txt"
        os.environ["STUDY_LOG"] = str(log)
        began, used = time.perf_counter(), cpu_s()
        result = run_study(study, out=Path(out) / "set", workers=workers, answer=solve_and_log, progress=progress)
        if result.stopped:
            raise SystemExit(f"the study ended early: {result.stopped}")
        counts = result.counts
        seconds = {"wall_s": time.perf_counter() - began, "cpu_s": cpu_s() - used, "solves_wall_s": counts.solve_s}
        lines = [tuple(map(float, line.split())) for line in log.read_text().splitlines()]
        seconds |= {"solves_cpu_s": sum(cpu for _, cpu in lines), "cases": counts.solved, "failed": counts.failed}
        return seconds, lines


def overhead(count: int, case: str = "defence-50mw") -> dict[str, float]:
    """A study against the sum of its solves: start and end of the processes, addresses, records and tables included."""
    found, _ = run(sweep(count, case, FUTURES, _SHORT_GAP))
    found["overhead_wall_frac"] = found["wall_s"] / found["solves_wall_s"] - 1
    found["overhead_cpu_frac"] = found["cpu_s"] / found["solves_cpu_s"] - 1
    return found


def workers(count: int, case: str = "defence-50mw") -> dict[str, float]:
    """The same study with one worker and with two."""
    study, found = sweep(count, case, FUTURES, _SHORT_GAP), dict[str, float]()
    for number in (1, 2):
        found |= {f"{name}_{number}": value for name, value in run(study, number)[0].items()}
    found["times_faster"] = found["wall_s_1"] / found["wall_s_2"]
    return found


def empty(count: int) -> dict[str, float]:
    """The engine alone; the rate bounds how many workers one client can keep busy."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        run_study(sweep(count), out=out, workers=1, find=find_nothing, answer=answer_nothing)
        wall = time.perf_counter() - began
        per_case = wall / count
        return {
            "cases": count, "wall_s": wall, "per_case_ms": 1000 * per_case, "client_peak_mb": peak_mb(),
            # an estimate: workers that one client feeds when each is busy for 5 s per case
            "workers_fed_at_5_s_per_case": 5.0 / per_case,
            "projected_efficiency_of_64_workers_frac": min(1.0, 5.0 / per_case / 64),
        }  # fmt: skip


def peak_mb() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def memory(count: int, case: str = "tiny") -> dict[str, float]:
    """Resident memory of the worker and of the client after a tenth, a half and all of a long sweep."""
    client: list[tuple[int, float]] = []
    found, lines = run(sweep(count, case), progress=lambda counts: client.append((counts.done, memory_mb())))
    for done in (count // 10, count // 2, count):
        found[f"worker_mb_{done}"] = lines[min(done, len(lines)) - 1][0]
        found[f"client_mb_{done}"] = next(mb for n, mb in reversed(client) if n <= done)
    return found


def neighbours(count: int, case: str = "utility-200mw") -> dict[str, float]:
    """A sweep by the engine against separate ``planner plan`` calls, of which a few stand for all."""
    study = sweep(count, case)
    asked = study.grid["load.delay_usd_per_mw_yr"][:: max(1, count // _SEPARATE)][:_SEPARATE]
    found, _ = run(study)
    with tempfile.TemporaryDirectory() as out:
        began, used = time.perf_counter(), cpu_s()
        for value in asked:
            words = ["plan", case, "--gap", "0.01", "--set", f"load.delay_usd_per_mw_yr={value}", "--quiet"]
            subprocess.run(
                [sys.executable, "-c", "from planner.cli import main; main()", *words, "--out", out + "/plan"],
                check=True,
            )
        scale = count / len(asked)
        apart, apart_cpu = scale * (time.perf_counter() - began), scale * (cpu_s() - used)
    found |= {"separate_wall_s": apart, "separate_cpu_s": apart_cpu}
    found |= {"times_faster_wall": apart / found["wall_s"], "times_faster_cpu": apart_cpu / found["cpu_s"]}
    return found


if __name__ == "__main__":
    what, number, *names = sys.argv[1:]
    measures = {"overhead": overhead, "workers": workers, "empty": empty, "memory": memory, "neighbours": neighbours}
    measured = measures[what](int(number), *names)
    print(json.dumps({k: round(v, 3) for k, v in measured.items()}, indent=1))
