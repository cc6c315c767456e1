"""tessella serve: a protected server of one model."""

import argparse
from contextlib import closing

from tessella.commands.model import open_model
from tessella.errors import InputError


def run(options: argparse.Namespace) -> None:
    try:
        from tessella.serving.app import create_app
        from tessella.serving.guard import Settings
        from tessella.serving.listen import LOOPBACK, listen, root_of, server_of
    except ImportError as error:
        raise InputError(f"serve needs {error.name}: pip install tessella[serving]") from error
    from tessella.runs.serving import in_url, name_of, served
    from tessella.serving.access import Access
    from tessella.serving.pictures import Limits

    on_loopback = options.host in LOOPBACK
    if not (on_loopback or options.keys or options.open):
        raise InputError(
            f"--host {options.host}: others can reach it; give --keys, or --open to answer whoever asks"
        )
    model, device = open_model(options)
    settings = Settings(
        keys=options.keys,
        limits=Limits(options.max_pictures, options.max_pixels, options.max_body << 20),
        batch=options.batch or (8 if device.type == "cuda" else 2),
        concurrency=options.concurrency,
        timeout=options.timeout,
        hosts=("localhost", "127.0.0.1", "[::1]") if on_loopback else (),
    )
    with closing(Access(options.state / "server.sqlite")) as access:
        if options.keys and not access.all_keys():
            raise InputError(
                f"--keys: there is none yet; tessella keys add NAME --budget 1000 --state {options.state}"
            )
        what = served(
            model,
            device,
            name=in_url(options.name or name_of(options.model)),
            defences=options.defence,
            generator=options.generator,
            secret=access.secret(),
            trusted=("tessella", *options.trust),
            posteriors=options.posteriors,
            compare=on_loopback and not options.keys if options.compare is None else options.compare,
        )
        with listen(options.host, options.port) as listening:
            root = root_of(listening)
            print(
                f"{what.name} at {root}/v2/models/{what.name}, a page to try it at {root}/; Ctrl-C ends it",
                flush=True,
            )
            # Until Ctrl-C or SIGTERM; what was taken by then is answered.
            server_of(create_app(what, access, settings), options.timeout).run(sockets=[listening])
