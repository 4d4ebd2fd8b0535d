"""What `make up` and `make test` do before anything is installed, with the standard library of Python 3.6 or newer."""

import base64
import errno
import glob
import hashlib
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "bin")
PYTHON = os.path.join(BIN, "python")
ENV_FILE = os.path.join(ROOT, ".env")
OLDEST = (3, 11)
TRIED = ("python3.13", "python3.12", "python3.11")
STOP_SECONDS = 12
MARK = "POSTFUZE_UP"
STOPPING = []


def main(arguments):
    os.chdir(ROOT)
    listen_for_stop()
    if arguments == ["up"]:
        return up()
    if arguments == ["dev"]:
        install("requirements-dev.txt")
        return 0
    return fail("usage: bootstrap.py up|dev")


def fail(message):
    sys.exit("PostFuze: " + message)


def up():
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    environment["PATH"] = BIN + os.pathsep + environment.get("PATH", os.defpath)
    ports = {name: port_of(name, default) for name, default in (("PORT", "8000"), ("SANDBOX_PORT", "8001"))}
    for name, port in ports.items():
        check_free(name, port)
        environment[name] = str(port)
    install("requirements.txt")
    write_env_file()
    environment.setdefault("PUBLIC_URL", read_env_file().get("PUBLIC_URL") or f"http://127.0.0.1:{ports['PORT']}")
    if run([PYTHON, "manage.py", "migrate", "--no-input", "--verbosity", "0"], environment):
        return fail("the database could not be migrated")
    with tempfile.TemporaryFile("w+") as greeting:
        if run([PYTHON, "manage.py", "demo"], environment, stdout=greeting):
            return fail("the demo organization could not be made")
        greeting.seek(0)
        return supervise(environment, ports, greeting.read())


# --- Python and packages


def python():
    """This Python if it is new enough, else one on the path that is."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in TRIED:
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", "pass"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return path
    wanted, found = (".".join(map(str, version)) for version in (OLDEST, sys.version_info[:3]))
    return fail(f"Python {wanted} or newer is needed, {sys.executable} is {found}. Install one, or run: make PYTHON=…")


def install(requirements):
    """Once per content of the requirements: a stamp in the virtual environment tells."""
    if not works(PYTHON):
        make_venv()
    stamp = os.path.join(VENV, "installed-" + requirements)
    wanted = fingerprint(requirements)
    if read(stamp) == wanted:
        return
    print(f"PostFuze: installing {requirements} (once)", flush=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    if run(pip):
        fail(f"the packages of {requirements} could not be installed")
    with open(stamp, "w") as file:
        file.write(wanted)


def works(executable):
    return os.path.exists(executable) and subprocess.call([executable, "-c", "pass"]) == 0


def make_venv():
    shutil.rmtree(VENV, ignore_errors=True)
    if run([python(), "-m", "venv", VENV]):
        shutil.rmtree(VENV, ignore_errors=True)
        fail("a virtual environment could not be made; on Debian and Ubuntu: apt install python3-venv")


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def fingerprint(requirements):
    digest = hashlib.sha256()
    for name in sorted({"requirements.txt", requirements}):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


# --- Settings


def write_env_file():
    """Fresh keys for this machine; what is there is never touched."""
    lines = (
        "SECRET_KEY=" + secrets.token_urlsafe(50),
        "TOKEN_ENCRYPTION_KEYS=" + base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "DEBUG=off",
        "HTTPS=off",
        "LOG_FORMAT=console",
    )
    try:
        descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return
        raise
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write("\n".join(lines) + "\n")


def read_env_file():
    lines = [line.strip() for line in read(ENV_FILE).splitlines()]
    pairs = [line.partition("=") for line in lines if not line.startswith("#")]
    return {name.strip(): value.strip().strip("'\"") for name, equals, value in pairs if equals}


def port_of(name, default):
    text = os.environ.get(name) or read_env_file().get(name) or default
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        fail(f"{name} is wrong: expected a port from 1 to 65535, not {text!r}")
    return int(text)


def check_free(name, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            fail(f"port {port} is in use. Stop what listens there, or run: make up {name}=…")


# --- Processes


def listen_for_stop():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, frame: STOPPING.append(received))


def run(command, environment=None, stdout=None, meanwhile=lambda: None):
    """Run to its end, or until told to stop; in a session of its own, so that Ctrl-C comes here only."""
    parent = os.getppid()
    child = subprocess.Popen(command, env=environment, stdout=stdout, start_new_session=True)
    while child.poll() is None:
        if STOPPING or abandoned(parent):
            end(child)
            sys.exit(0)
        meanwhile()
        time.sleep(0.1)
    return child.returncode


def end(child):
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def supervise(environment, ports, greeting):
    """Run the processes of Procfile.dev until told to stop, greet once they answer, and leave none behind."""
    mark = uuid.uuid4().hex
    command = [PYTHON, "-m", "honcho", "-e", os.devnull, "-f", "Procfile.dev", "start"]
    waiting = [greeting]
    asked = [(ports["PORT"], "/api/v1/health")]
    if not environment.get("SANDBOX_URL"):
        asked.append((ports["SANDBOX_PORT"], "/_control"))

    def greet():
        if waiting and all(answers(port, path) for port, path in asked):
            print(waiting.pop(), flush=True)

    try:
        return run(command, dict(environment, **{MARK: mark}), meanwhile=greet)
    finally:
        remove_leftovers(mark)


def answers(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def abandoned(parent):
    """Whether `make` died, or waits: it keeps SIGINT and SIGHUP to itself, blocked, until its children are gone."""
    if os.getppid() != parent:
        return True
    try:
        with open(f"/proc/{parent}/status") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return False
    blocked = int(status.get("SigBlk", "0"), 16)
    return status.get("Name", "").strip() in {"make", "gmake"} and any(
        blocked >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
    )


def remove_leftovers(mark):
    """Whatever still carries the mark in its environment was started here."""
    sought = f"{MARK}={mark}".encode()
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                found = sought in file.read().split(b"\0")
            if found:
                os.kill(int(path.split("/")[2]), signal.SIGKILL)
        except OSError:
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
