"""Give all parsers of untrusted input a million inputs, guided by coverage, and count what breaks them: `make fuzz`.

Each reader is fuzzed in a process of its own by atheris (libFuzzer). An input fails that raises anything but
`InputError`, takes more than a second of CPU time, takes the process over 1 GB, writes a file or starts a program, or
makes a library write to stderr. It is kept in `tests/corpus`, where the tests replay it.
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

if "--reader" in sys.argv:
    import atheris

    # Only what parses: the rest of Python would only slow it down.
    with atheris.instrument_imports(include=["detector", "pydicom", "PIL", "csv", "zipfile"]):
        from tools.fuzzing.readers import READERS, message_of
else:
    from tools.fuzzing.readers import READERS, message_of

CORPUS = Path(__file__).resolve().parents[2] / "tests" / "corpus"
MAX_SECONDS, MAX_MIB, MAX_LENGTH = 1.0, 1000, 8192
MOST_FAILURES = 20  # of one reader: then it needs fixing, not more inputs
COUNTS = struct.Struct("qdd")  # inputs, the slowest's CPU seconds, peak MiB
# Tokens of tables and paths, in libFuzzer's notation.
WORDS = r"""
\x22 , \x0d\x0a \x0a ../ / \\ C: = ' COVID-19 Pneumonia/Viral/ PA X-ray patientid finding view modality folder filename
images .png sha256 \x1b[31m \xef\xbb\xbf
"""
FORBIDDEN = ("os.remove", "os.rename", "os.mkdir", "os.symlink", "os.link", "subprocess.Popen", "os.system", "socket.")


def fuzz(name: str, counts: Path, arguments: list[str]) -> None:
    """Fuzz one reader in this process; does not return."""
    reader, seeds, _ = READERS[name]
    for data in seeds():
        # What is imported late is imported here, where its compiled files may be written.
        message_of(reader, data)
    with open(counts, "r+b") as file:
        shared = mmap.mmap(file.fileno(), COUNTS.size)
    errors, screen = os.memfd_create("stderr"), os.dup(2)
    guarded = False

    def watch(event: str, details: tuple) -> None:
        writes = event == "open" and (details[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if guarded and (writes or event.startswith(FORBIDDEN)):
            os.write(screen, f"the reader did {event} {details}\n".encode())
            os.abort()

    def one(data: bytes) -> None:
        nonlocal guarded
        start = time.process_time()
        guarded = True
        os.dup2(errors, 2)
        try:
            message_of(reader, data)
        finally:
            os.dup2(screen, 2)
            guarded = False
        taken = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        done, slowest, _ = COUNTS.unpack(shared[:])
        shared[:] = COUNTS.pack(done + 1, max(slowest, taken), peak)
        assert taken <= MAX_SECONDS, f"{taken:.2f} s"
        assert peak <= MAX_MIB, f"{peak:.0f} MiB"
        if written := os.lseek(errors, 0, os.SEEK_END):
            raise AssertionError(f"on stderr: {os.pread(errors, min(written, 300), 0)!r}")

    sys.addaudithook(watch)
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def campaign(name: str, runs: int, seed: int) -> tuple[int, float, float, list[Path]]:
    """Fuzz one reader with `runs` inputs; return how many were given, the slowest, the peak, and what failed."""
    _, seeds, _ = READERS[name]
    failures: list[Path] = []
    with tempfile.TemporaryDirectory() as folder:
        corpus, found, counts = Path(folder, "corpus"), Path(folder, "found"), Path(folder, "counts")
        corpus.mkdir()
        found.mkdir()
        # libFuzzer cuts off what is longer: a seed would be damaged from the start.
        longest = max(MAX_LENGTH, *map(len, seeds()))
        for i, data in enumerate(seeds()):
            (corpus / f"seed-{i}").write_bytes(data)
        words = Path(folder, "words")
        words.write_text("".join(f'"{word}"\n' for word in WORDS.split()))
        done, slowest, peak = 0, 0.0, 0.0
        while done < runs and len(failures) < MOST_FAILURES:
            counts.write_bytes(COUNTS.pack(0, 0.0, 0.0))
            flags = [f"-runs={runs - done}", f"-seed={seed + done + 1}", f"-artifact_prefix={found}/", "-verbosity=0"]
            flags += [
                f"-dict={words}",
                "-len_control=0",
                "-timeout=30",
                "-rss_limit_mb=2048",
                f"-max_len={longest}",
                "-print_final_stats=0",
            ]
            command = [sys.executable, "-m", "tools.fuzzing", "--reader", name, "--counts", str(counts), "--"]
            ended = subprocess.run([*command, *flags, str(corpus)], capture_output=True, text=True, check=False)
            more, slow, high = COUNTS.unpack(counts.read_bytes())
            done, slowest, peak = done + more, max(slowest, slow), max(peak, high)
            artifacts = list(found.iterdir())
            for artifact in artifacts:
                digest = hashlib.sha256(artifact.read_bytes()).hexdigest()[:12]
                target = CORPUS / name.replace(" ", "-") / digest
                target.parent.mkdir(parents=True, exist_ok=True)
                artifact.replace(target)
                failures.append(target)
                lines = [
                    line for line in ended.stderr.splitlines() if "Error" in line or "did " in line or "ERROR" in line
                ]
                print(f"FAILED {name} {target.name}: {' | '.join(lines)[:400]}", file=sys.stderr, flush=True)
            if ended.returncode and not artifacts:
                raise SystemExit(f"the fuzzer of {name} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
            if not ended.returncode and not more:
                break
    return done, slowest, peak, failures


def main() -> int:
    """Fuzz every reader and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose names hold this")
    parser.add_argument("--reader", help=argparse.SUPPRESS)
    parser.add_argument("--counts", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        fuzz(options.reader, options.counts, options.flags)
    chosen = [name for name in READERS if options.only in name]
    total, lost = 0, 0
    print("| reader | inputs | slowest, s of CPU | peak, MiB | failed |\n| --- | --- | --- | --- | --- |")
    for name in tqdm(chosen, unit="reader", disable=None):
        done, slowest, peak, failures = campaign(name, round(options.inputs * READERS[name][2]), options.seed)
        total, lost = total + done, lost + len(failures)
        print(f"| {name} | {done:,} | {slowest:.2f} | {peak:.0f} | {len(failures)} |", flush=True)
    print(f"| all | {total:,} | | | {lost} |")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
