"""Who may ask, and how often: keys with budgets, and a log of what was asked, in a file that outlives the server."""

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tessella.errors import InputError

TABLES = """
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, digest BLOB NOT NULL, budget INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS log (time REAL NOT NULL, key TEXT NOT NULL, pictures INTEGER NOT NULL, digest TEXT NOT NULL,
    status INTEGER NOT NULL, milliseconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS secret (value BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Key:
    """name: of who has it. budget: pictures that may be asked about; used: that were."""

    name: str
    budget: int
    used: int


class Spent(Exception):
    """A key's budget does not hold so many more pictures."""


class Access:
    """Keys, budgets, log and secret of a server, in a SQLite file that only its owner can read.

    What is spent is written before it is answered: a server that dies can have given fewer answers than it counted,
    never more. Only digests of keys are kept.
    """

    def __init__(self, path: Path) -> None:
        """Raises InputError where ``path`` is no such file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._lock = threading.Lock()
        try:
            self._file = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path}: {error}; give the --state of a server") from error

    def close(self) -> None:
        self._file.close()

    def secret(self) -> bytes:
        """Made once: defences that draw noise from it give the same answers after a restart."""
        self._run("INSERT INTO secret SELECT ? WHERE NOT EXISTS (SELECT 1 FROM secret)", os.urandom(32))
        return bytes(self._run("SELECT value FROM secret")[0][0])

    def add(self, name: str, budget: int) -> str:
        """A new key, which can be read here and never again. Raises InputError for a name that there is already."""
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise InputError(f"key {name!r}: give a name of letters, digits, - and _")
        if budget < 0:
            raise InputError(f"--budget {budget}: give 0 pictures or more")
        word = secrets.token_urlsafe(32)
        try:
            self._run("INSERT INTO keys (name, digest, budget) VALUES (?, ?, ?)", name, _digest(word), budget)
        except sqlite3.IntegrityError as error:
            raise InputError(f"there is a key {name} already: remove it first") from error
        return f"{name}.{word}"

    def remove(self, name: str) -> None:
        """Raises InputError where there is none."""
        if not self._run("DELETE FROM keys WHERE name = ? RETURNING name", name):
            raise InputError(f"there is no key {name}")

    def all_keys(self) -> list[Key]:
        return [Key(*row) for row in self._run("SELECT name, budget, used FROM keys ORDER BY name")]

    def who(self, key: str) -> str | None:
        """The name of a key; None where it is none. Takes the same time however much of it is right."""
        name, _, word = key.partition(".")
        found = self._run("SELECT digest FROM keys WHERE name = ?", name if name.isascii() else "")
        right = hmac.compare_digest(found[0][0] if found else bytes(32), _digest(word))
        return name if found and right else None

    def left(self, name: str) -> int:
        """Pictures that may still be asked about."""
        found = self._run("SELECT budget - used FROM keys WHERE name = ?", name)
        return found[0][0] if found else 0

    def spend(self, name: str, pictures: int) -> None:
        """Raises Spent where the budget does not hold them; then nothing is spent."""
        if not self._run(
            "UPDATE keys SET used = used + ?1 WHERE name = ?2 AND used + ?1 <= budget RETURNING used",
            pictures,
            name,
        ):
            raise Spent(name)

    def give_back(self, name: str, pictures: int) -> None:
        """What was spent on an answer that could not be given."""
        self._run("UPDATE keys SET used = max(used - ?, 0) WHERE name = ?", pictures, name)

    def log(self, key: str, pictures: int, digest: str, status: int, seconds: float) -> None:
        """digest: of the pictures, so that who asked for the same one again can be found."""
        row = (time.time(), key, pictures, digest, status, 1000 * seconds)
        self._run("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", *row)

    def _run(self, statement: str, *values: object) -> list[tuple]:
        with self._lock:
            return self._file.execute(statement, values).fetchall()


def _digest(word: str) -> bytes:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
