"""Definition of the commands about many jobs. Like all definitions, it imports nothing that a command does not have loaded."""

from __future__ import annotations

from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, lazy_load_command

BATCH = ActionCommand(
    name="batch",
    help="Submit a job for each row of a file, wait for all, save the pictures; repeated, it goes on where it ended",
    func=lazy_load_command("airflow_provider_faceswap.cli.batch_command.batch"),
    args=(
        Arg(
            ("items",),
            help="a JSON Lines, CSV or Parquet file, on this disk or as a URI; its columns are the arguments of the jobs",
        ),
        Arg(
            ("--conn-id",),
            help="the connection that pays, of one of this provider's types",
            required=True,
            metavar="CONN_ID",
        ),
        Arg(
            ("--out",),
            help="the folder for the pictures, on this disk or as a URI",
            required=True,
            metavar="FOLDER",
        ),
        Arg(("--kind",), help="what the jobs do: face_swap (default), image, ...", default="face_swap"),
        Arg(
            ("--records",),
            help="the folder on this disk for what is paid (default: the file's name and '.records', in this folder)",
            metavar="FOLDER",
        ),
        Arg(
            ("--concurrency",),
            help="jobs at the same time (default: 16); fewer if the vendor says so",
            type=int,
            default=16,
            metavar="NUMBER",
        ),
        Arg(
            ("--on-bad-item",),
            help="what a row that cannot be a job does (default: fail, before anything is bought)",
            choices=("fail", "skip"),
            default="fail",
        ),
        Arg(
            ("--picture-conn-id",),
            help="a connection that rows may name for their pictures; may be given several times",
            action="append",
            default=[],
            dest="picture_conn_ids",
            metavar="CONN_ID",
        ),
        Arg(
            ("--preflight",),
            help="what is checked before a job is submitted (default: auto)",
            choices=("auto", "check", "fit", "off"),
            default="auto",
        ),
        Arg(
            ("--timeout",),
            help="seconds to wait for each job (default: 600)",
            type=float,
            default=600.0,
            metavar="SECONDS",
        ),
        Arg(
            ("--budget",),
            help="the JSON of a budget, which is not exceeded (default: [faceswap] budget)",
            metavar="JSON",
        ),
        Arg(("--price",), help="what a job costs, until the budget has seen it", metavar="AMOUNT"),
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog="Exit codes: 0 all rows are done; 1 some rows failed; 2 an argument or a row is wrong, and nothing was bought; "
    "3 it ended early: the same command goes on, and pays for nothing twice; 130 interrupted before the first job.",
)

ESTIMATE = ActionCommand(
    name="estimate",
    help="Say how many jobs the rows of a file need, and at which price; buys nothing",
    func=lazy_load_command("airflow_provider_faceswap.cli.estimate_command.estimate"),
    args=(
        Arg(("items",), help="a JSON Lines, CSV or Parquet file, on this disk or as a URI"),
        Arg(
            ("--conn-id",),
            help="the connection that would pay for face swaps whose arguments are the columns",
            metavar="CONN_ID",
        ),
        Arg(
            ("--steps",),
            help="instead: the steps of a chain, as a JSON list of objects with the arguments of Step, or a file with it",
            metavar="JSON",
        ),
        Arg(
            ("--destination",),
            help="the batch's folder; what its index has counts as reused",
            metavar="FOLDER",
        ),
        Arg(
            ("--keep",),
            help="whose pictures the batch archives: those of the last step (default), or all",
            choices=("last", "all"),
            default="last",
        ),
        Arg(("--budget",), help="the JSON of a budget, which has seen prices", metavar="JSON"),
        Arg(("--price",), help="what a job costs, if no budget has seen it", type=float, metavar="AMOUNT"),
        Arg(
            ("--on-bad-item",),
            help="what a row that cannot be a job does (default: fail)",
            choices=("fail", "skip"),
            default="fail",
        ),
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog="Exit codes: 0 shown; 1 a storage could not be read; 2 an argument or a row is wrong. Nothing is bought.",
)

JOBS = ActionCommand(
    name="jobs",
    help="List the jobs of an account at its vendor, the newest first; submits nothing",
    func=lazy_load_command("airflow_provider_faceswap.cli.jobs_command.jobs"),
    args=(
        Arg(("conn_id",), help="a connection of one of this provider's types"),
        Arg(
            ("--hours",),
            help="how far back (default: 24)",
            type=float,
            default=24.0,
            metavar="HOURS",
        ),
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog="Exit codes: 0 shown; 1 the vendor refused, or could not be reached; 2 the connection is wrong, or its vendor has "
    "no list of jobs.",
)
