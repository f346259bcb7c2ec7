"""Runs pip with another machine's marker environment, one JSON object a line.

pip's own options for another target change which wheels it takes and leave the
environment of markers as it is. Each run is a process of its own, forked from
this one, which has pip loaded already.
"""
import io
import json
import os
import sys
import tempfile
import traceback

import pip._internal.cli.main
import pip._internal.commands.download
import pip._internal.commands.install
import pip._internal.network.session
import pip._internal.operations.prepare
import pip._internal.resolution.resolvelib.resolver
from pip._vendor.packaging import markers

for line in sys.stdin:
    job = json.loads(line)
    with tempfile.TemporaryFile("w+") as out:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            code = 99
            try:
                environment = job["environment"]
                markers.default_environment = lambda: dict(environment)
                code = pip._internal.cli.main.main(job["arguments"])
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        text = out.read()
    report = None
    if job.get("report") and os.path.exists(job["report"]):
        with open(job["report"]) as f:
            report = [[i["metadata"]["name"], i["metadata"]["version"], i["download_info"]["url"]] for i in json.load(f)["install"]]
    print(json.dumps({"code": os.waitstatus_to_exitcode(status), "output": text, "report": report}), flush=True)
