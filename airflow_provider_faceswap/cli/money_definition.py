"""Definition of the commands about money. Like all definitions, it imports nothing that a command does not have loaded."""

from __future__ import annotations

from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, lazy_load_command

#: Module of the commands' bodies.
_COMMANDS = "airflow_provider_faceswap.cli.money_commands"

BUDGET = ActionCommand(
    name="budget",
    help="Show what is spent, bought and reserved of a budget, by Dag, run and job, and settle what is left",
    func=lazy_load_command(f"{_COMMANDS}.budget"),
    args=(
        Arg(("uri",), help="the budget's folder, as its tasks name it"),
        Arg(
            ("--period",),
            help="a period's folder, such as 2026-11-27 (default: the last one)",
            metavar="NAME",
        ),
        Arg(
            ("--settle",),
            help="poll the jobs that are bought and not settled, and settle those that have ended",
            action="store_true",
        ),
        Arg(
            ("--set",),
            help="settle one entry with an amount; 0 gives its money back (repeatable)",
            action="append",
            default=[],
            dest="amounts",
            metavar="KEY=AMOUNT",
        ),
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog="Exit codes: 0 shown; 1 the storage could not be read or written; 2 an argument is wrong.",
)

COSTS = ActionCommand(
    name="costs",
    help="Add up what the jobs cost whose results are archived in a folder, from their manifests",
    func=lazy_load_command(f"{_COMMANDS}.costs"),
    args=(
        Arg(("folder",), help="the folder that an archive or a batch writes to, on this disk or as a URI"),
        Arg(
            ("--by",),
            help="columns to add up by, with commas: dag, vendor, kind, day, month (default: dag,vendor)",
            default="dag,vendor",
            metavar="COLUMNS",
        ),
        Arg(
            ("-o", "--output"),
            help="format of stdout (default: table)",
            choices=("table", "json", "csv"),
            default="table",
        ),
        ARG_VERBOSE,
    ),
    epilog="Exit codes: 0 shown; 1 the storage could not be read; 2 an argument is wrong.",
)
