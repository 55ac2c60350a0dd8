"""Whether the app installs and starts where nothing is: a new virtual environment, requirements.txt, and no network.

The repository's committed files are copied to a temporary folder, ``requirements.txt`` and nothing else is installed
into a new virtual environment there, and ``app.py`` is started with every way out of the machine by Python's sockets
refused and noted; native code that opens sockets of its own would pass. Then the page and one API name are asked. Ends
with 1 if anything of that fails, or if the app reached for anything outside.

    python -m benchmarks.fresh_start
    python -m benchmarks.fresh_start --python python3.12
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.report import Figure, parser, report
from benchmarks.serving import ROOT, free_port, serving

PATIENCE = 300.0  # seconds until the app must have answered
ASK = ["Once upon a time", "greedy", 7, 8, ""]  # prompt, columns, seed, max_new_tokens, model
MEGABYTE = 1_000_000

# Stands as sitecustomize.py before everything else on the path. What Python's sockets can do goes through these; native
# code that opens sockets of its own does not.
GUARD = """
import errno, os, socket
INTERNET = (socket.AF_INET, socket.AF_INET6)

def local(host):
    host = host.decode() if isinstance(host, bytes) else host
    return host in (None, "", "localhost", "0.0.0.0", "::", "::1") or str(host).startswith("127.")

def refused(host):
    if local(host):
        return False
    with open(os.environ["OUTSIDE_LOG"], "a") as log:
        log.write(f"{host}\\n")
    return True

def method(name, find):
    real = getattr(socket.socket, name)
    def guarded(self, *arguments):
        address = find(arguments)
        if self.family in INTERNET and isinstance(address, tuple) and address and refused(address[0]):
            if name == "connect_ex":
                return errno.ENETUNREACH
            raise OSError(errno.ENETUNREACH, "no network")
        return real(self, *arguments)
    setattr(socket.socket, name, guarded)

def lookup(name, find):
    real = getattr(socket, name)
    def guarded(*arguments, **options):
        if refused(find(arguments, options)):
            raise socket.gaierror(socket.EAI_FAIL, "no network")
        return real(*arguments, **options)
    setattr(socket, name, guarded)

for name in ("connect", "connect_ex", "sendto"):
    method(name, lambda arguments: arguments[-1] if arguments else None)
method("sendmsg", lambda arguments: arguments[3] if len(arguments) > 3 else None)
lookup("getaddrinfo", lambda arguments, options: arguments[0] if arguments else options.get("host"))
for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
    lookup(name, lambda arguments, options: arguments[0] if arguments else None)
lookup("getnameinfo", lambda arguments, options: arguments[0][0] if arguments else None)
"""


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; of files with several names each name counts once."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def largest(folder: Path) -> int:
    """Return the bytes of the largest file below a folder."""
    return max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)


def copy_committed(source: Path, target: Path) -> None:
    """Copy what is committed to a folder. Raises CalledProcessError if the source is no git repository."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=source, capture_output=True, check=True).stdout
    target.mkdir()
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True)


def install(python: str, folder: Path) -> Path:
    """Make a virtual environment with what requirements.txt names; return its Python."""
    subprocess.run([python, "-m", "venv", str(folder / ".venv")], check=True)
    own = folder / ".venv" / "bin" / "python"
    subprocess.run([own, "-m", "pip", "install", "--quiet", "-r", "requirements.txt"], cwd=folder, check=True)
    return own


def environment(home: Path, guard: Path, log: Path) -> dict[str, str]:
    """Return the environment of a user who has nothing: no cache, no token, no settings, and no way out."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return kept | {"HOME": str(home), "PYTHONPATH": str(guard), "OUTSIDE_LOG": str(log), "PYTHONUNBUFFERED": "1"}


def answer_of(lines: Iterable[str]) -> dict[str, object]:
    """Return what an API name answered, from the lines of its stream.

    Raises:
        RuntimeError: if it was an error, or broke off.
    """
    event = ""
    for line in lines:
        field, _, value = line.strip().partition(": ")
        if field == "event":
            event = value
        elif field == "data" and event == "complete":
            return json.loads(value)[0]
        elif field == "data" and event == "error":
            raise RuntimeError(f"the API answered with an error: {value}")
    raise RuntimeError("the API's answer broke off")


def ask(url: str) -> dict[str, object]:
    """Return what /decode answers. Raises RuntimeError if it does not, OSError if nobody is there."""
    body = json.dumps({"data": ASK}).encode()
    request = urllib.request.Request(f"{url}/gradio_api/call/decode", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        event = json.loads(answer.read())["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/decode/{event}", timeout=PATIENCE) as answer:
        return answer_of(line.decode() for line in answer)


@contextmanager
def running(python: Path, folder: Path, url: str, options: dict[str, str]) -> Iterator[None]:
    """Start the app and wait until its page answers. Raises RuntimeError with its output if it does not."""
    output, port = folder.parent / "app.log", int(url.rpartition(":")[2])
    command = [str(python), "app.py", "--store", "memory", "--port", str(port)]
    with ExitStack() as stack:
        log = stack.enter_context(output.open("wb"))
        try:
            app = serving(command, port, PATIENCE, cwd=folder, env=options, stdout=log, stderr=log)
            _, page = stack.enter_context(app)
        except (RuntimeError, TimeoutError) as error:
            raise RuntimeError(f"{error}: {output.read_text(errors='replace')[-3000:]}") from None
        if b"gradio" not in page:
            raise RuntimeError("what answered is not the page")
        yield


def measure(python: str, root: Path) -> tuple[list[Figure], list[str]]:
    """Return the figures of one fresh start, and what the app reached for outside the machine.

    Args:
        python: that makes the virtual environment.
        root: an empty folder.
    """
    folder, home, guard, log = (root / name for name in ("app", "home", "guard", "outside.log"))
    copy_committed(ROOT, folder)
    files, shard = size_of(folder), largest(folder)
    home.mkdir()
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    started = time.perf_counter()
    own = install(python, folder)
    installed = time.perf_counter()
    url = f"http://127.0.0.1:{free_port()}"
    with running(own, folder, url, environment(home, guard, log)):
        page = time.perf_counter()
        columns = ask(url)["columns"]
        answered = time.perf_counter()
    if not columns[0]["text"]:
        raise RuntimeError("the API answered with an empty text")
    reached = log.read_text().splitlines() if log.exists() else []
    return [
        Figure("repository", "files of the repository", files / MEGABYTE, "MB"),
        Figure("largest_file", "its largest file", shard / MEGABYTE, "MB", "under 9"),
        Figure("environment", "virtual environment with requirements.txt", size_of(folder / ".venv") / MEGABYTE, "MB"),
        Figure("install", "making it, with downloads or from pip's cache", installed - started, "s"),
        Figure("page", "first page after the command, the very first time", page - installed, "s"),
        Figure("answer", "first text from the API after that", answered - page, "s"),
        Figure("outside", "calls outside the machine, all refused", len(reached), "", "0"),
    ], reached


def main() -> None:
    """Measure a fresh start, print the figures, and end with 1 if it failed."""
    options = parser(__doc__)
    options.add_argument("--python", default=sys.executable, help="the Python that makes the virtual environment")
    arguments = options.parse_args()
    version = subprocess.run([arguments.python, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="fresh-start-") as folder:
        try:
            figures, reached = measure(arguments.python, Path(folder))
        except (subprocess.CalledProcessError, RuntimeError, OSError) as error:
            raise SystemExit(f"A fresh start fails: {error}") from None
    facts = {"python": version.removeprefix("Python "), "system": f"{platform.system()} {platform.machine()}"}
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)
    if reached:
        raise SystemExit("The app reached for: " + ", ".join(reached))


if __name__ == "__main__":
    main()
