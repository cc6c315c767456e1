"""tessella keys: who may ask a server, and how often."""

import argparse

from tessella.errors import InputError
from tessella.serving.access import Access


def run(options: argparse.Namespace) -> None:
    if options.action == "add" and options.budget >= 2**63:
        raise InputError(f"--budget {options.budget}: give less than 2^63 pictures")
    access = Access(options.state / "server.sqlite")
    try:
        if options.action == "add":
            key = access.add(options.name, options.budget)
            print(f"Give this to {options.name}; it is not kept and cannot be shown again:\n{key}")
        elif options.action == "remove":
            access.remove(options.name)
        for each in access.all_keys():
            print(f"{each.name}: {each.used} of {each.budget} pictures asked")
    finally:
        access.close()
