"""What the Python peers share: arguments, and answers to "train N" and "predict N" with the milliseconds of a step."""

import argparse
import json
import os
import resource
import sys
import time

# Shapes of a batch; R1 to R7 as in examples/reference.
IMAGES = {
    "R1": (32, (784,)),
    "R2": (32, (28, 28, 1)),
    "R3": (32, (28, 28)),
    "R4": (32, (80,)),
    "R5": (128, (28, 28, 1)),
    "R6": (128, (28, 28, 1)),
    "R7": (32, (32, 32, 3)),
    "GPT": (32, (128,)),
}
VOCABULARY = 20000
CLASSES = {"R4": 2, "GPT": 65}
# The GPT of bench/programs.ts.
DEPTH, HEADS, WIDTH = 6, 6, 384

# Steps are timed in groups, so that what a framework leaves running in the background is waited for, but not after every step.
GROUPS = 10


def arguments(variants):
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=list(IMAGES))
    parser.add_argument("--variant", choices=variants, required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    # Frameworks size their pools by the processors they may use; not all have a switch.
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[: options.threads])
    return options


def answer(steps, version, wait=lambda: None):
    """
    Answers lines such as "train 50" with the median milliseconds of a step, the mean of its processor time, and the largest resident
    memory so far. `steps["train"]` and `steps["predict"]` run one step; `wait` returns when all of them are done.
    """
    for line in sys.stdin:
        what, count = line.split()
        step, count = steps[what], int(count)
        size = max(1, count // GROUPS)
        times = []
        processor = time.process_time()
        for _ in range(min(GROUPS, count)):
            begin = time.perf_counter()
            for _ in range(size):
                step()
            wait()
            times.append(1000 * (time.perf_counter() - begin) / size)
        processor = 1000 * (time.process_time() - processor) / (size * len(times))
        times.sort()
        # Linux counts in units of 1024 bytes, macOS in bytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        print(json.dumps({"ms": times[len(times) // 2], "cpuMs": processor, "rssMb": peak, "version": version}), flush=True)
