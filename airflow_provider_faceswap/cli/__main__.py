"""
The commands without Airflow's command line: ``python -m airflow_provider_faceswap.cli swap ...``.

Airflow below 3.2 does not read the commands of providers.
"""

from __future__ import annotations

import argparse

from airflow_provider_faceswap.cli.definition import get_commands

#: What users type to run the commands this way.
PROGRAM = "python -m airflow_provider_faceswap.cli"


def main(arguments: list[str] | None = None) -> None:
    """
    Run one command.

    :param arguments: Default: those of the process.
    :raises SystemExit: Always, with the command's exit code.
    """
    parser = argparse.ArgumentParser(prog=PROGRAM)
    (group,) = get_commands()
    names = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for command in group.subcommands:
        subparser = names.add_parser(
            command.name,
            help=command.help,
            description=command.help,
            epilog=command.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for argument in command.args:
            argument.add_to_parser(subparser)
        subparser.set_defaults(func=command.func, program=PROGRAM)
    options = parser.parse_args(arguments)
    options.func(options)


if __name__ == "__main__":
    main()
