"""`python -m tests.fuzz TARGET [--seconds S]`: fuzz one target guided by coverage, with atheris; without TARGET list them.

Needs `pip install atheris` (Linux, CPython; not among the extras: nothing else needs it). An input that fails is written to
the corpus folder and named; copy it to `tests/fuzz/found/TARGET-what-it-showed`, where the tests run it for ever.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

SECONDS_DEFAULT = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?")
    parser.add_argument("--seconds", type=int, default=SECONDS_DEFAULT)
    parser.add_argument("--corpus", type=Path, help="kept between runs; a temporary folder without it")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 1
    with atheris.instrument_imports(include=["swarmtui"]):
        from tests.fuzz.targets import TARGETS
    if options.target not in TARGETS:
        print("targets:", " ".join(TARGETS))
        return 0 if options.target is None else 2
    target = TARGETS[options.target]
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix=f"swarmtui-fuzz-{target.name}-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [sys.argv[0], str(corpus), f"-max_total_time={options.seconds}", f"-artifact_prefix={corpus}/failed-"]
    atheris.Setup(arguments, target.run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
