"""Trust stores, and the verification of chains; `test_verify_codes.py` compares the codes with s_client's."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.errors import TrustStoreError
from mxprobe.trust.verification import TrustStore, load_trust_store, longer_than_limit, verify_chain
from servers.certificates import Authority, Issued, hashed_directory

NOW = datetime(2026, 6, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority.root(not_before=NOW - 20 * YEAR, not_after=NOW + 20 * YEAR)


@pytest.fixture(scope="module")
def leaf(root: Authority) -> Issued:
    intermediate = root.intermediate(not_before=NOW - YEAR, not_after=NOW + YEAR)
    return intermediate.leaf("mx.example.test", not_before=NOW - YEAR / 2, not_after=NOW + YEAR / 2)


@pytest.fixture(scope="module")
def ca_file(root: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "ca.pem"
    path.write_bytes(b"# our root\n" + root.pem + Authority.root("another", key_type="EC").pem)
    return path


@pytest.fixture(scope="module")
def ca_path(root: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hashed_directory(tmp_path_factory.mktemp("path") / "trusted", [root])


@pytest.fixture(scope="module")
def store(ca_file: Path) -> TrustStore:
    return load_trust_store(ca_file=str(ca_file), ca_path=None)


class TestVerifyChain:
    def test_a_trusted_chain_is_ok_at_every_depth(self, leaf: Issued, store: TrustStore) -> None:
        verification = verify_chain(leaf.chain, store, depth_limit=3, time=NOW)

        assert (verification.ok, verification.code, verification.text, verification.depth) == (True, 0, "ok", 0)
        assert verification.chain_depth == 2
        assert [(step.depth, step.code, step.subject) for step in verification.steps] == [
            (2, 0, "CN=mxprobe test root"),
            (1, 0, "CN=mxprobe test intermediate"),
            (0, 0, "CN=mx.example.test"),
        ]

    def test_it_says_what_was_trusted(self, leaf: Issued, ca_file: Path, ca_path: Path) -> None:
        store = load_trust_store(ca_file=str(ca_file), ca_path=str(ca_path))

        verification = verify_chain(leaf.chain, store, depth_limit=5, time=NOW)

        assert verification.ok
        assert (verification.ca_file, verification.ca_path) == (str(ca_file), str(ca_path))
        assert verification.depth_limit == 5

    @pytest.mark.parametrize(
        ("time", "code", "depth", "text"),
        [
            (NOW, 0, 0, "ok"),
            (NOW + 0.75 * YEAR, 10, 0, "certificate has expired"),
            (NOW - 0.75 * YEAR, 9, 0, "certificate is not yet valid"),
            (NOW + 2 * YEAR, 10, 1, "certificate has expired"),
            (NOW - 2 * YEAR, 9, 1, "certificate is not yet valid"),
            (NOW + 30 * YEAR, 10, 2, "certificate has expired"),
        ],
    )
    def test_it_verifies_for_the_time_given(
        self, leaf: Issued, store: TrustStore, time: datetime, code: int, depth: int, text: str
    ) -> None:
        verification = verify_chain(leaf.chain, store, depth_limit=3, time=time)

        assert (verification.code, verification.depth, verification.text) == (code, depth, text)
        assert [step.depth for step in verification.steps] == list(range(2, depth - 1, -1))

    def test_the_time_may_be_of_any_zone(self, leaf: Issued, store: TrustStore) -> None:
        end = leaf.certificate.not_valid_after_utc
        late_zone = timezone(timedelta(hours=14))

        assert verify_chain(leaf.chain, store, depth_limit=3, time=end.astimezone(late_zone)).ok
        after = (end + timedelta(seconds=2)).astimezone(late_zone)
        assert verify_chain(leaf.chain, store, depth_limit=3, time=after).code == 10

    def test_threads_with_different_times_do_not_disturb_each_other(self, leaf: Issued, store: TrustStore) -> None:
        times = [NOW, NOW + 0.75 * YEAR, NOW - 0.75 * YEAR] * 50
        with ThreadPoolExecutor(4) as pool:
            codes = pool.map(lambda time: verify_chain(leaf.chain, store, depth_limit=3, time=time).code, times)

        assert list(codes) == [0, 10, 9] * 50

    def test_weak_keys_are_not_an_error(self, tmp_path: Path) -> None:
        weak = Authority.root(bits=1024)
        store = load_trust_store(ca_file=None, ca_path=str(hashed_directory(tmp_path / "ca", [weak])))

        verification = verify_chain(weak.leaf("x.test", bits=1024).chain, store, depth_limit=3, time=datetime.now(UTC))

        assert verification.ok

    @pytest.mark.parametrize(("limit", "longer"), [(0, True), (1, True), (2, False), (9, False)])
    def test_a_limit_of_n_allows_n_cas_and_is_not_openssls(
        self, leaf: Issued, store: TrustStore, limit: int, longer: bool
    ) -> None:
        verification = verify_chain(leaf.chain, store, depth_limit=limit, time=NOW)

        assert verification.ok
        assert longer_than_limit(verification) is longer

    def test_a_chain_that_was_not_built_has_no_length(self, leaf: Issued, store: TrustStore) -> None:
        verification = verify_chain(leaf.chain[:1], store, depth_limit=0, time=NOW)

        assert (verification.code, verification.chain_depth) == (20, None)
        assert not longer_than_limit(verification)

    def test_an_empty_chain_is_not_ok(self, store: TrustStore) -> None:
        verification = verify_chain((), store, depth_limit=3, time=NOW)

        assert (verification.ok, verification.code, verification.steps) == (False, 1, ())
        assert verification.text == "unspecified certificate verification error"

    @pytest.mark.parametrize("garbage", [b"", b"not DER", bytes(100)])
    @pytest.mark.parametrize("depth", [0, 1])
    def test_garbage_is_not_ok_at_its_depth(self, leaf: Issued, store: TrustStore, garbage: bytes, depth: int) -> None:
        chain = (*leaf.chain[:depth], garbage, *leaf.chain[depth + 1 :])

        verification = verify_chain(chain, store, depth_limit=3, time=NOW)

        assert (verification.ok, verification.code, verification.depth) == (False, 1, depth)

    def test_bytes_behind_a_certificate_are_garbage(self, leaf: Issued, store: TrustStore) -> None:
        assert verify_chain((leaf.der + b"x", *leaf.chain[1:]), store, depth_limit=3, time=NOW).code == 1

    def test_thousands_of_certificates_are_not_gone_through(self, leaf: Issued, store: TrustStore) -> None:
        padded = (*leaf.chain, *(leaf.der for _ in range(5000)))

        assert verify_chain(padded, store, depth_limit=3, time=NOW).ok

    @settings(deadline=None)
    @given(data=st.data())
    def test_no_bytes_raise_anything(self, leaf: Issued, store: TrustStore, data: st.DataObject) -> None:
        chain = [bytearray(der) for der in leaf.chain]
        der = data.draw(st.sampled_from(chain))
        for _ in range(data.draw(st.integers(1, 4))):
            der[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))

        verification = verify_chain(tuple(map(bytes, chain)), store, depth_limit=3, time=NOW)

        assert verification.ok is (verification.code == 0)
        assert verification.text

    def test_no_error_is_left_for_the_next_tls_connection(self, store: TrustStore, root: Authority) -> None:
        from OpenSSL._util import lib

        forged = root.leaf("mx.example.test", not_before=NOW - YEAR, not_after=NOW + YEAR, bad_signature=True)
        lib.ERR_clear_error()

        assert verify_chain(forged.chain, store, depth_limit=3, time=NOW).code == 7
        assert lib.ERR_peek_error() == 0


class TestLoadTrustStore:
    def test_a_path_without_hash_links_says_how_to_make_them(self, tmp_path: Path, root: Authority) -> None:
        (tmp_path / "ca.pem").write_bytes(root.pem)

        with pytest.raises(TrustStoreError, match=f"^{tmp_path}: no hash links .*openssl rehash {tmp_path}$"):
            load_trust_store(ca_file=None, ca_path=str(tmp_path))

    def test_paths_may_be_several_with_a_colon_between(self, leaf: Issued, ca_path: Path, tmp_path: Path) -> None:
        other = hashed_directory(tmp_path / "other", [Authority.root("another")])

        store = load_trust_store(ca_file=None, ca_path=f"{other}:{ca_path}")

        assert verify_chain(leaf.chain, store, depth_limit=3, time=NOW).ok

    @pytest.mark.parametrize(
        ("path", "problem"),
        [("missing", "cannot be read: No such file or directory"), ("file", "not a directory")],
    )
    def test_a_path_that_cannot_be_used(self, tmp_path: Path, path: str, problem: str) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(TrustStoreError, match=f"^{tmp_path / path}: {problem}") as raised:
            load_trust_store(ca_file=None, ca_path=str(tmp_path / path))
        assert raised.value.path == str(tmp_path / path)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "no PEM certificate in it"),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no PEM certificate in it"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 in it cannot be parsed"),
            (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n", "certificate 1 in it cannot be parsed"),
            (
                b"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n",
                "certificate 1 is a TRUSTED CERTIFICATE",
            ),
        ],
    )
    def test_a_file_without_usable_certificates(self, tmp_path: Path, content: bytes, problem: str) -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(content)

        with pytest.raises(TrustStoreError, match=f"^{file}: {problem}"):
            load_trust_store(ca_file=str(file), ca_path=None)

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(TrustStoreError, match=f"^{tmp_path}/missing: cannot be read: No such file or directory$"):
            load_trust_store(ca_file=str(tmp_path / "missing"), ca_path=None)
        with pytest.raises(TrustStoreError, match=f"^{tmp_path}: a directory, not a file"):
            load_trust_store(ca_file=str(tmp_path), ca_path=None)

    def test_the_environment_names_the_systems_store(self, leaf: Issued, ca_file: Path, ca_path: Path) -> None:
        store = load_trust_store(
            ca_file=None, ca_path=None, environment={"SSL_CERT_FILE": str(ca_file), "SSL_CERT_DIR": str(ca_path)}
        )

        assert (store.ca_file, store.ca_path) == (str(ca_file), str(ca_path))
        assert verify_chain(leaf.chain, store, depth_limit=3, time=NOW).ok

    def test_the_environment_does_not_count_beside_a_named_one(self, ca_file: Path, ca_path: Path) -> None:
        store = load_trust_store(ca_file=str(ca_file), ca_path=None, environment={"SSL_CERT_DIR": str(ca_path)})

        assert (store.ca_file, store.ca_path) == (str(ca_file), None)

    def test_an_unusable_directory_of_the_environment_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(TrustStoreError, match="cannot be read"):
            load_trust_store(ca_file=None, ca_path=None, environment={"SSL_CERT_DIR": str(tmp_path / "missing")})

    def test_without_anything_it_is_the_systems_where_it_has_one(
        self, monkeypatch: pytest.MonkeyPatch, ca_path: Path, ca_file: Path
    ) -> None:
        places = "mxprobe.trust.verification._WELL_KNOWN_"
        monkeypatch.setattr(f"{places}DIRECTORIES", ("/nonexistent", str(ca_file.parent), str(ca_path)))
        monkeypatch.setattr(f"{places}FILES", ("/nonexistent", str(ca_file)))

        # The hashed directory, as it need not be read in full.
        store = load_trust_store(ca_file=None, ca_path=None, environment={})
        assert (store.ca_file, store.ca_path) == (None, str(ca_path))

        monkeypatch.setattr(f"{places}DIRECTORIES", ("/nonexistent",))
        store = load_trust_store(ca_file=None, ca_path=None, environment={})
        assert (store.ca_file, store.ca_path) == (str(ca_file), None)

        monkeypatch.setattr(f"{places}FILES", ("/nonexistent",))
        with pytest.raises(TrustStoreError, match="name some"):
            load_trust_store(ca_file=None, ca_path=None, environment={})

    def test_a_directory_is_read_when_an_issuer_is_looked_for(
        self, leaf: Issued, ca_path: Path, tmp_path: Path
    ) -> None:
        later = tmp_path / "later"
        hashed_directory(later, [Authority.root("another")])
        store = load_trust_store(ca_file=None, ca_path=str(later))
        assert verify_chain(leaf.chain, store, depth_limit=3, time=NOW).code == 20

        shutil.copytree(ca_path, later, symlinks=False, dirs_exist_ok=True)

        assert verify_chain(leaf.chain, store, depth_limit=3, time=NOW).ok
