"""Keys, budgets and the log, over threads and restarts."""

import stat
import threading

import pytest

from tessella.errors import InputError
from tessella.serving.access import Access, Spent


def test_a_key_is_known_and_another_is_not(access):
    key = access.add("alice", 10)
    assert access.who(key) == "alice"
    for wrong in (
        "",
        "alice",
        "alice.",
        key[:-1],
        key + "x",
        key.replace("alice", "bob"),
        "bob.x",
        "\udcff.\udcff",
    ):
        assert access.who(wrong) is None
    access.remove("alice")
    assert access.who(key) is None


def test_what_is_wrong_is_said(access, tmp_path):
    access.add("alice", 10)
    with pytest.raises(InputError, match="already"):
        access.add("alice", 5)
    with pytest.raises(InputError, match="letters"):
        access.add("al ice", 5)
    with pytest.raises(InputError, match="budget -1"):
        access.add("bob", -1)
    with pytest.raises(InputError, match="no key bob"):
        access.remove("bob")
    other = tmp_path / "text"
    other.write_text("no data base, and longer than a page of it is" * 100)
    with pytest.raises(InputError, match="--state"):
        Access(other)


def test_a_budget_ends_exactly_and_outlives_the_server(access, tmp_path):
    key = access.add("alice", 10)
    access.spend("alice", 7)
    with pytest.raises(Spent):
        access.spend("alice", 4)
    access.give_back("alice", 1)
    access.spend("alice", 4)
    access.close()
    again = Access(tmp_path / "state" / "server.sqlite")
    assert again.who(key) == "alice"
    assert [(each.budget, each.used) for each in again.all_keys()] == [(10, 10)]
    with pytest.raises(Spent):
        again.spend("alice", 1)
    again.close()


def test_a_key_that_was_made_anew_gets_nothing_for_the_old_one(access):
    access.add("alice", 10)
    access.spend("alice", 5)
    access.remove("alice")
    access.add("alice", 1)
    access.give_back("alice", 5)
    assert access.left("alice") == 1


def test_a_file_that_others_could_read_no_longer_is(tmp_path):
    (tmp_path / "server.sqlite").touch(mode=0o644)
    Access(tmp_path / "server.sqlite").close()
    assert stat.S_IMODE((tmp_path / "server.sqlite").stat().st_mode) == 0o600


def test_many_at_a_time_spend_no_more_than_there_is(access, tmp_path):
    """Over threads, and over two who have the file open."""
    access.add("alice", 100)
    other = Access(tmp_path / "state" / "server.sqlite")
    given = []

    def spend(who):
        for _ in range(40):
            try:
                who.spend("alice", 1)
                given.append(1)
            except Spent:
                pass

    threads = [threading.Thread(target=spend, args=(who,)) for who in (access, access, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(given) == 100


def test_the_file_is_its_owners_alone_and_holds_no_key(access, tmp_path):
    key = access.add("alice", 10)
    secret = access.secret()
    assert len(secret) == 32
    assert access.secret() == secret
    file = tmp_path / "state" / "server.sqlite"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    access.close()
    assert key.partition(".")[2].encode() not in file.read_bytes()
    again = Access(file)
    assert again.secret() == secret
    again.close()
