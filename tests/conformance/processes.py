"""Runs modules of tests side by side, each in a process of its own. Runs under Python 3.6."""

import os
import signal
import time


def failures(names, folder, run, jobs, seconds):
    """Runs modules, and yields the name and the status of each that did not end well.

    Args:
        names: of the modules.
        folder: gets one for each module, which its process is in, with a ``log`` of what it prints.
        run: is called with the name and the folder of a module.
        jobs: how many run at a time.
        seconds: how long one may take.
    """
    waiting, running = list(names), {}
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop(0)
            running[start(name, (folder / name).resolve(), run)] = name, time.time()
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended:
            name, _ = running.pop(ended)
            if status:
                yield name, status
            continue
        for process, (_, since) in running.items():
            if time.time() - since > seconds:
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def start(name, folder, run):
    """Runs a module in a process: its number."""
    folder.mkdir(parents=True)
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        log = os.open(str(folder / "log"), os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(str(folder))
        run(name, folder)
        status = 0
    except BaseException as error:
        print(type(error).__name__, error, flush=True)
    finally:
        os._exit(status)
