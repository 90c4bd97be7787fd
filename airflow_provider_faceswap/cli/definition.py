"""
Definition of ``airflow faceswap``: names, arguments and help.

Every ``airflow`` command imports this module. So it imports only what the command line has loaded already; the bodies of
the commands are imported when one is run.
"""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    GroupCommand,
    lazy_load_command,
)

from airflow_provider_faceswap.cli.batch_definition import BATCH, ESTIMATE, JOBS
from airflow_provider_faceswap.cli.exits import MEANINGS
from airflow_provider_faceswap.cli.money_definition import BUDGET, COSTS

#: Module of the commands' bodies.
_COMMANDS = "airflow_provider_faceswap.cli.commands"
#: The sandbox has a command of its own; the package and the sandbox do not import each other.
_SANDBOX = "airflow_provider_faceswap.sandbox.__main__.command"

_EXITS = "Exit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())

_CONN_ID = Arg(("conn_id",), help="a connection of one of this provider's types")
_PAYING_CONN_ID = Arg(
    ("--conn-id",),
    help="the connection that pays, of one of this provider's types",
    required=True,
    metavar="CONN_ID",
)
_TIMEOUT = Arg(
    ("--timeout",),
    help="seconds to wait (default: 600); after that the job keeps running, and can be resumed",
    type=float,
    default=600.0,
    metavar="SECONDS",
)
_OVERWRITE = Arg(
    ("--overwrite",),
    help="replace the file that --out names, if it exists",
    action="store_true",
)
_PLACES = (
    "a file if the name has a suffix, else a folder;\non this disk, or a URI such as s3://conn@bucket/key"
)

SWAP = ActionCommand(
    name="swap",
    help="Put the face of one picture onto another: submits one job, waits, saves the picture",
    func=lazy_load_command(f"{_COMMANDS}.swap"),
    args=(
        _PAYING_CONN_ID,
        Arg(
            ("--target",),
            help="the picture whose face is replaced: a link, an object storage URI, or a file",
            required=True,
            metavar="PICTURE",
        ),
        Arg(
            ("--face",),
            help="the picture that donates the face: a link, an object storage URI, or a file",
            required=True,
            metavar="PICTURE",
        ),
        Arg(
            ("--preflight",),
            help="what is checked before a job is submitted (default: auto): 'check' fetches and checks links too,\n"
            "'fit' also converts and shrinks what the vendor would refuse, 'off' leaves all checks to the vendor",
            choices=("auto", "check", "fit", "off"),
            default="auto",
        ),
        Arg(("--out",), help=f"where to save the result (default: this folder): {_PLACES}", default="."),
        _OVERWRITE,
        _TIMEOUT,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog=_EXITS,
)

GENERATE = ActionCommand(
    name="generate",
    help="Make a picture from a text, or any other job: submits one job, waits, saves what it made",
    func=lazy_load_command(f"{_COMMANDS}.generate"),
    args=(
        _PAYING_CONN_ID,
        Arg(
            ("--kind",),
            help="what the job does, as its hook names it: image (default), imagine, task, ...",
            default="image",
        ),
        Arg(("--prompt",), help="what the picture shows", metavar="TEXT"),
        Arg(
            ("--argument",),
            help="another argument of that kind, such as model=gpt-image-1-low; may be given several times.\n"
            'A value that is JSON is read as JSON: \'input={"prompt": "a king"}\'',
            action="append",
            default=[],
            metavar="NAME=VALUE",
        ),
        Arg(("--out",), help=f"where to save the result (default: this folder): {_PLACES}", default="."),
        _OVERWRITE,
        _TIMEOUT,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog=_EXITS,
)

JOB = ActionCommand(
    name="job",
    help="Show a job, wait for it, or save its result; submits nothing",
    func=lazy_load_command(f"{_COMMANDS}.job"),
    args=(
        _CONN_ID,
        Arg(("job_id",), help="the job's id at the vendor", nargs="?"),
        Arg(
            ("--job-id",),
            help="the same, for an id that begins with a dash: --job-id=-x7",
            dest="dashed_job_id",
            metavar="JOB_ID",
        ),
        Arg(
            ("--kind",),
            help="what the job does: face_swap (default), image, imagine, ...",
            default="face_swap",
        ),
        Arg(("--wait",), help="wait until it is over", action="store_true"),
        Arg(("--out",), help=f"save the result: {_PLACES}"),
        _OVERWRITE,
        _TIMEOUT,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog=_EXITS,
)

CHECK = ActionCommand(
    name="check",
    help="Test a connection with a free call, as the Test button of its form does",
    func=lazy_load_command(f"{_COMMANDS}.check"),
    args=(_CONN_ID, ARG_OUTPUT, ARG_VERBOSE),
    epilog=_EXITS,
)

GALLERY = ActionCommand(
    name="gallery",
    help="Write the pictures of a folder as one HTML file, with inputs, faces, outputs and costs",
    func=lazy_load_command(f"{_COMMANDS}.gallery"),
    args=(
        Arg(("folder",), help="the folder that an archive or a batch writes to, on this disk or as a URI"),
        Arg(
            ("--out",),
            help="the file to write (default: sheet.html in this folder); on this disk, or a URI",
            default="sheet.html",
            metavar="FILE",
        ),
        _OVERWRITE,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
    epilog="Exit codes: 0 written; 1 the storage could not be read or written; 2 the folder or the file is wrong.",
)

SANDBOX = ActionCommand(
    name="sandbox",
    help="Start a server that simulates the vendors: to try things out without an account or money",
    func=lazy_load_command(_SANDBOX),
    args=(
        Arg(
            ("--port",), help="port to listen on (default: 8090); 0 picks a free one", type=int, default=8090
        ),
        Arg(("--host",), help="address to listen on (default: 127.0.0.1)", default="127.0.0.1"),
        Arg(
            ("--job-seconds",),
            help="how long a job takes (default: 3)",
            type=float,
            default=3.0,
            metavar="SECONDS",
        ),
        Arg(("--key",), help="the key that all vendors accept (default: sandbox-key)", default="sandbox-key"),
        Arg(
            ("--webhooks-to",),
            help="root URL that gets all webhooks instead of the hosts in their addresses",
            metavar="URL",
        ),
    ),
    epilog="Exit codes: 0 stopped by a signal; 2 a package is missing, or the port is in use.",
)


def get_commands() -> list[GroupCommand]:
    """The commands, for Airflow's command line."""
    return [
        GroupCommand(
            name="faceswap",
            help="Swap faces, make pictures, and show, resume and save paid jobs",
            subcommands=(SWAP, GENERATE, BATCH, ESTIMATE, JOB, JOBS, CHECK, GALLERY, BUDGET, COSTS, SANDBOX),
            epilog=_EXITS,
        )
    ]
