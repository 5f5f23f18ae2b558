"""What the engine of a study costs: overhead, speed-up, reuse, memory, and a projection to 64 workers.

python -m benchmarks.study overhead 200 utility-200mw   # engine against the sum of its solves, 1 and 2 workers
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
from pathlib import Path

from planner.study.engine import run_study
from planner.study.expand import Question
from planner.study.spec import Study
from planner.study.work import Address, Answer, Start, pack, solve

#: Separate calls that are measured; the rest would take as long each.
_SEPARATE = 6


def sweep(count: int, case: str = "tiny") -> Study:
    """A sweep of ``count`` neighbouring cases: the price of late load."""
    values = [1_000_000 + 1000 * n for n in range(count)]
    grid = {"load.delay_usd_per_mw_yr": values}
    return Study.model_validate(
        {"study": f"sweep-{count}", "cases": [case], "set": {"solver.gap_frac": 0.01}, "grid": grid}
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
    return Answer(address, "infeasible", pack(record | {"solve_s": 0.0}), Start(), 0.0)


def solve_and_weigh(question: Question, address: str, neighbour: Start) -> Answer:
    """Solve, and append the memory of this process in MB to a file."""
    found = solve(question, address, neighbour)
    with Path(os.environ["STUDY_MEMORY"]).open("a") as file:
        file.write(f"{os.getpid()} {memory_mb():.1f}\n")
    return found


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def cpu_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def overhead(count: int, case: str = "tiny") -> dict[str, float]:
    """Wall time of a study against the sum of its solves, and two workers against one."""
    found: dict[str, float] = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as out:
            began, used = time.perf_counter(), cpu_s()
            result = run_study(sweep(count, case), out=out, workers=workers)
            found[f"wall_{workers}_s"] = time.perf_counter() - began
            found[f"cpu_{workers}_s"] = cpu_s() - used
            found[f"solves_{workers}_s"] = result.counts.solve_s
            found[f"failed_{workers}"] = result.counts.failed
    found["overhead_1_frac"] = found["wall_1_s"] / found["solves_1_s"] - 1
    found["speed_up_2"] = found["wall_1_s"] / found["wall_2_s"]
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


def memory(count: int) -> dict[str, float]:
    """Memory of a worker and of the client, early and late in a long sweep."""
    with tempfile.TemporaryDirectory() as out:
        log = Path(out) / "memory.txt"
        os.environ["STUDY_MEMORY"] = str(log)
        client: list[float] = []
        run_study(
            sweep(count),
            out=Path(out) / "set",
            answer=solve_and_weigh,
            progress=lambda counts: client.append(memory_mb()),
        )
        worker = [float(line.split()[1]) for line in log.read_text().splitlines()]
        tenth = max(1, len(worker) // 10)
        return {
            "worker_early_mb": max(worker[tenth : 2 * tenth]), "worker_late_mb": max(worker[-tenth:]),
            "client_early_mb": client[len(client) // 10], "client_late_mb": client[-1],
        }  # fmt: skip


def neighbours(count: int, case: str = "utility-200mw") -> dict[str, float]:
    """A sweep by the engine against separate ``planner plan`` calls, of which a few stand for all."""
    study = sweep(count, case)
    asked = study.grid["load.delay_usd_per_mw_yr"][:: max(1, count // _SEPARATE)][:_SEPARATE]
    with tempfile.TemporaryDirectory() as out:
        began, used = time.perf_counter(), cpu_s()
        failed = run_study(study, out=out, workers=1).counts.failed
        together, together_cpu = time.perf_counter() - began, cpu_s() - used
        began, used = time.perf_counter(), cpu_s()
        for value in asked:
            words = ["plan", case, "--gap", "0.01", "--set", f"load.delay_usd_per_mw_yr={value}", "--quiet"]
            subprocess.run(
                [sys.executable, "-c", "from planner.cli import main; main()", *words, "--out", out + "/plan"],
                check=True,
            )
        scale = count / len(asked)
        apart, apart_cpu = scale * (time.perf_counter() - began), scale * (cpu_s() - used)
    return {
        "failed": failed, "engine_s": together, "engine_cpu_s": together_cpu, "separate_s": apart,
        "separate_cpu_s": apart_cpu, "times_faster": apart / together, "times_faster_by_cpu": apart_cpu / together_cpu,
    }  # fmt: skip


if __name__ == "__main__":
    what, number, *names = sys.argv[1:]
    measures = {"overhead": overhead, "empty": empty, "memory": memory, "neighbours": neighbours}
    measured = measures[what](int(number), *names)
    print(json.dumps({k: round(v, 3) for k, v in measured.items()}, indent=1))
