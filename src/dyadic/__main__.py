"""`python -m dyadic`: what there is to choose from; with a subcommand, more about a run."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from dyadic.commands.endings import INTERRUPTED, quiet_pipe
from dyadic.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; a mistake in the arguments is one line and exit code 2."""
    chosen = _parser().parse_args(arguments)
    try:
        with quiet_pipe():
            return chosen.call(chosen)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        from dyadic.commands.mistakes import one_line

        if (line := one_line(error)) is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    """The subcommands, each with the function that it calls."""
    parser = argparse.ArgumentParser(prog="python -m dyadic", description=__doc__)
    parser.set_defaults(call=_list)
    commands = parser.add_subparsers()

    def command(call: Callable[..., int], what: str) -> argparse.ArgumentParser:
        found = commands.add_parser(call.__name__.removeprefix("_"), help=what)
        found.set_defaults(call=call)
        return found

    command(_list, "methods, quantizers, schedules, models and experiments")
    inspect = command(_inspect, "what of a network has an integer form")
    inspect.add_argument("choices", nargs="*", help="as run.py takes them")
    check = command(_check, "repeat a run's integer check from its files alone")
    pareto = command(_pareto, "the ILP's front over a sweep of budgets")
    own = "measure=gbops (or size, latency), points=21, random=10"
    pareto.add_argument("choices", nargs="*", help=f"as run.py takes them; {own}")
    latency = command(_latency, "time each layer's integer kernel here")
    log_domain = command(_log_domain, "how wrong sums in the log domain are")
    for reads_run in (check, latency, log_domain):
        reads_run.add_argument("run", type=Path, help="a directory, results/runs/NAME")
    latency.add_argument("--out", type=Path, help="the table, a CSV file")
    latency.add_argument("--threads", type=int, default=1, help="of one layer; 1 varies least")
    log_domain.add_argument("--images", type=int, default=1000, help="of the test set; %(default)s")
    allowed = "a function or class of yours that the record may call"
    for reads_images in (check, log_domain):
        reads_images.add_argument("--data-dir", type=Path, help="where the images are; data")
        reads_images.add_argument(
            "--allow", action="append", default=[], metavar="NAME", help=allowed
        )
    return parser


def _list(chosen: argparse.Namespace) -> int:
    from dyadic.commands.list import catalogue

    for group, rows in catalogue(Path("experiments")).items():
        print(group)
        width = max(map(len, rows), default=0)
        for name, line in rows.items():
            print(f"  {name:<{width}}  {line}")
    return 0


def _check(chosen: argparse.Namespace) -> int:
    from dyadic.commands.check import recheck

    report = recheck(chosen.run, chosen.data_dir, chosen.allow)
    print(report)
    return 0 if report.passed else 1


def _pareto(chosen: argparse.Namespace) -> int:
    from dyadic.commands.pareto import pareto

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    print(pareto(chosen.choices))
    return 0


def _latency(chosen: argparse.Namespace) -> int:
    from dyadic.commands.latency import measure_run

    print(measure_run(chosen.run, chosen.out, chosen.threads))
    return 0


def _log_domain(chosen: argparse.Namespace) -> int:
    try:
        from experiments.log_sums.command import evaluate_run
    except ModuleNotFoundError:
        raise UserError("log_domain is a study of the repository; run it in a clone") from None

    print(evaluate_run(chosen.run, chosen.images, chosen.data_dir, chosen.allow))
    return 0


def _inspect(chosen: argparse.Namespace) -> int:
    from dyadic.commands.inspect import inspect

    passed, lines = inspect(chosen.choices)
    print(lines)
    return 0 if passed else 2


if __name__ == "__main__":
    sys.exit(main())
