"""The codes, texts and depths of chain verification, next to those of the real `openssl s_client`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mxprobe.trust.verification import Verification, load_trust_store, longer_than_limit, verify_chain
from servers.certificates import CLIENT_AUTH, DAY, Authority, Issued, hashed_directory, make_leaf

NAME = "mx.example.test"
Step = tuple[int, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a server sends, its own first, and whom the client trusts."""

    sent: Sequence[Issued]
    trusted: Sequence[Issued]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What s_client said: the `Verify return code`, and what it printed of each depth on the way there."""

    code: int
    text: str
    steps: tuple[Step, ...]


def trusted() -> Chain:
    root = Authority.root()
    intermediate = root.intermediate()
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[root])


def issued_by_the_root() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME)], trusted=[root])


def elliptic_keys() -> Chain:
    root = Authority.root(key_type="EC")
    intermediate = root.intermediate(key_type="Ed25519")
    return Chain(sent=[intermediate.leaf(NAME, key_type="EC"), intermediate], trusted=[root])


def weak_keys() -> Chain:
    root = Authority.root(bits=1024)
    return Chain(sent=[root.leaf(NAME, bits=1024)], trusted=[root])


def root_sent_too() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME), root], trusted=[root])


def out_of_order_with_a_stranger() -> Chain:
    root = Authority.root()
    first = root.intermediate("first")
    second = first.intermediate("second")
    return Chain(sent=[second.leaf(NAME), Authority.root("stranger"), first, second], trusted=[root])


def self_signed() -> Chain:
    return Chain(sent=[make_leaf(NAME)], trusted=[Authority.root()])


def self_signed_and_trusted() -> Chain:
    leaf = make_leaf(NAME)
    return Chain(sent=[leaf], trusted=[leaf])


def self_signed_in_chain() -> Chain:
    root = Authority.root("private root")
    return Chain(sent=[root.leaf(NAME), root], trusted=[Authority.root()])


def unknown_issuer() -> Chain:
    return Chain(sent=[Authority.root("private root").leaf(NAME)], trusted=[Authority.root()])


def unknown_issuer_of_intermediate() -> Chain:
    intermediate = Authority.root("private root").intermediate()
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[Authority.root()])


def missing_intermediate() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.intermediate().leaf(NAME)], trusted=[root])


def only_intermediate_trusted() -> Chain:
    intermediate = Authority.root().intermediate()
    return Chain(sent=[intermediate.leaf(NAME)], trusted=[intermediate])


def only_leaf_trusted() -> Chain:
    leaf = Authority.root().leaf(NAME)
    return Chain(sent=[leaf], trusted=[leaf])


def same_name_other_key() -> Chain:
    return Chain(sent=[Authority.root("root").leaf(NAME)], trusted=[Authority.root("root")])


def expired() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME, not_after=datetime.now(UTC) - timedelta(hours=1))], trusted=[root])


def not_yet_valid() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME, not_before=datetime.now(UTC) + DAY)], trusted=[root])


def expired_intermediate() -> Chain:
    root = Authority.root()
    intermediate = root.intermediate(not_after=datetime.now(UTC) - timedelta(hours=1))
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[root])


def expired_root() -> Chain:
    root = Authority.root(not_after=datetime.now(UTC) - timedelta(hours=1))
    return Chain(sent=[root.leaf(NAME)], trusted=[root])


def expired_and_self_signed() -> Chain:
    return Chain(sent=[make_leaf(NAME, not_after=datetime.now(UTC) - timedelta(hours=1))], trusted=[Authority.root()])


def expired_and_wrong_purpose() -> Chain:
    root = Authority.root()
    leaf = root.leaf(NAME, eku=[CLIENT_AUTH], not_after=datetime.now(UTC) - timedelta(hours=1))
    return Chain(sent=[leaf], trusted=[root])


def wrong_purpose() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME, eku=[CLIENT_AUTH])], trusted=[root])


def no_purpose() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME, eku=[])], trusted=[root])


def wrong_purpose_of_intermediate() -> Chain:
    root = Authority.root()
    intermediate = root.intermediate(eku=[CLIENT_AUTH])
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[root])


def intermediate_is_no_ca() -> Chain:
    root = Authority.root()
    intermediate = root.intermediate(ca=False)
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[root])


def intermediate_without_constraints() -> Chain:
    root = Authority.root()
    intermediate = root.intermediate(ca=None)
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[root])


def path_length_exceeded() -> Chain:
    root = Authority.root(path_length=0)
    intermediate = root.intermediate()
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[root])


def bad_signature() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME, bad_signature=True)], trusted=[root])


def bad_signature_of_intermediate() -> Chain:
    root = Authority.root()
    intermediate = root.intermediate(bad_signature=True)
    return Chain(sent=[intermediate.leaf(NAME), intermediate], trusted=[root])


def server_is_a_ca() -> Chain:
    root = Authority.root()
    return Chain(sent=[root.leaf(NAME, ca=True)], trusted=[root])


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (trusted, 0),
        (issued_by_the_root, 0),
        (elliptic_keys, 0),
        (weak_keys, 0),
        (root_sent_too, 0),
        (out_of_order_with_a_stranger, 0),
        (self_signed, 18),
        (self_signed_and_trusted, 0),
        (self_signed_in_chain, 19),
        (unknown_issuer, 20),
        (unknown_issuer_of_intermediate, 20),
        (missing_intermediate, 20),
        (only_intermediate_trusted, 2),
        (only_leaf_trusted, 20),
        (same_name_other_key, 20),
        (expired, 10),
        (not_yet_valid, 9),
        (expired_intermediate, 10),
        (expired_root, 10),
        (expired_and_self_signed, 18),
        (expired_and_wrong_purpose, 26),
        (wrong_purpose, 26),
        (no_purpose, 0),
        (wrong_purpose_of_intermediate, 26),
        (intermediate_is_no_ca, 79),
        (intermediate_without_constraints, 79),
        (path_length_exceeded, 25),
        (bad_signature, 7),
        (bad_signature_of_intermediate, 7),
        (server_is_a_ca, 0),
    ],
)
def test_code_text_and_depths_are_those_of_s_client(make: Callable[[], Chain], code: int, tmp_path: Path) -> None:
    theirs, ours = verified_by_both(make(), tmp_path, depth=3)

    assert theirs.code == code
    assert (ours.code, ours.text, ours.ok) == (theirs.code, theirs.text, theirs.code == 0)
    assert steps(ours) == theirs.steps
    assert ours.depth == (theirs.steps[-1][0] if theirs.code else 0)


def test_s_client_accepts_a_chain_longer_than_its_depth_and_the_limit_is_told_apart(tmp_path: Path) -> None:
    root = Authority.root()
    intermediate = root.intermediate("first").intermediate("second")
    leaf = intermediate.leaf(NAME)
    chain = Chain(sent=[leaf, *leaf.issuers[:-1]], trusted=[root])

    theirs, ours = verified_by_both(chain, tmp_path, depth=2)

    assert (theirs.code, ours.code) == (0, 0)
    assert theirs.steps[0][0] == ours.chain_depth == 3
    assert longer_than_limit(ours)


def test_an_error_deeper_than_the_depth_keeps_its_own_code(tmp_path: Path) -> None:
    root = Authority.root()
    top = root.intermediate("first", not_after=datetime.now(UTC) - timedelta(hours=1))
    leaf = top.intermediate("second").leaf(NAME)

    theirs, ours = verified_by_both(Chain(sent=[leaf, *leaf.issuers[:-1]], trusted=[root]), tmp_path, depth=1)

    assert (theirs.code, theirs.steps[-1][0]) == (10, 2)
    assert (ours.code, ours.depth) == (10, 2)


def test_a_ca_file_gives_what_a_ca_path_gives(tmp_path: Path) -> None:
    chain = trusted()
    file = tmp_path / "ca.pem"
    file.write_bytes(b"".join(each.pem for each in chain.trusted))

    theirs = s_client(chain, tmp_path, "-CAfile", str(file), depth=3)
    store = load_trust_store(ca_file=str(file), ca_path=None)
    ours = verify_chain(sent(chain), store, depth_limit=3, time=datetime.now(UTC))

    assert (ours.code, ours.text, steps(ours)) == (theirs.code, theirs.text, theirs.steps)


def verified_by_both(chain: Chain, directory: Path, *, depth: int) -> tuple[Said, Verification]:
    trusted = hashed_directory(directory / "trusted", chain.trusted)
    theirs = s_client(chain, directory, "-CApath", str(trusted), depth=depth)
    store = load_trust_store(ca_file=None, ca_path=str(trusted))
    return theirs, verify_chain(sent(chain), store, depth_limit=depth, time=datetime.now(UTC))


def sent(chain: Chain) -> tuple[bytes, ...]:
    return tuple(each.der for each in chain.sent)


def steps(verification: Verification) -> tuple[Step, ...]:
    return tuple((step.depth, step.code, step.text) for step in verification.steps)


def s_client(chain: Chain, directory: Path, *trust: str, depth: int) -> Said:
    with s_server(chain, directory) as port:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-cipher", "DEFAULT@SECLEVEL=0"]
        command += ["-verify", str(depth), "-verify_return_error", *trust]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    code = re.search(r"Verify return code: (\d+) \((.*)\)", ran.stdout)
    assert code, ran.stdout + ran.stderr
    said: list[Step] = []
    at = -1
    for line in ran.stderr.splitlines():
        if found := re.match(r"depth=(\d+) ", line):
            at = int(found[1])
        elif found := re.match(r"verify error:num=(\d+):(.*)", line):
            said.append((at, int(found[1]), found[2]))
        elif line == "verify return:1":
            said.append((at, 0, "ok"))
    return Said(code=int(code[1]), text=code[2], steps=tuple(said))


@contextmanager
def s_server(chain: Chain, directory: Path) -> Iterator[int]:
    """Serve the chain once; yields the port."""
    leaf, *others = chain.sent
    (directory / "leaf.pem").write_bytes(leaf.pem)
    (directory / "leaf.key").write_bytes(leaf.key_pem)
    (directory / "others.pem").write_bytes(b"".join(each.pem for each in others))
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cipher", "DEFAULT@SECLEVEL=0"]
    command += ["-cert", str(directory / "leaf.pem"), "-key", str(directory / "leaf.key")]
    if others:
        command += ["-cert_chain", str(directory / "others.pem")]
    # Its stdin stays open: at its end s_server would hang up.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout
            said = ""
            for line in server.stdout:
                said += line
                if found := re.match(r"ACCEPT .*:(\d+)$", line):
                    yield int(found[1])
                    return
            pytest.fail(f"s_server did not start: {said}")
        finally:
            server.kill()
