"""The names of Postfix's TLS parameters, since which version each is known, and names that are none."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import Configuration, Remark
from mxprobe.mta.postfix.version import OLDEST, PostfixVersion

_CLIENT_SINCE: Final = {
    (2, 3, 0): """
        enforce_tls sasl_tls_security_options sasl_tls_verified_security_options starttls_timeout tls_CAfile tls_CApath
        tls_cert_file tls_dcert_file tls_dkey_file tls_enforce_peername tls_exclude_ciphers tls_key_file tls_loglevel
        tls_mandatory_ciphers tls_mandatory_exclude_ciphers tls_mandatory_protocols tls_note_starttls_offer tls_per_site
        tls_policy_maps tls_scert_verifydepth tls_secure_cert_match tls_security_level tls_session_cache_database
        tls_session_cache_timeout tls_verify_cert_match use_tls tls_cipherlist
        """,
    (2, 5, 0): "tls_fingerprint_cert_match tls_fingerprint_digest",
    (2, 6, 0): "tls_ciphers tls_eccert_file tls_eckey_file tls_protocols",
    (2, 7, 0): "tls_block_early_mail_reply",
    (2, 11, 0): "tls_force_insecure_host_tlsa_lookup tls_trust_anchor_file",
    (3, 0, 0): "tls_wrappermode",
    (3, 1, 0): "tls_dane_insecure_mx_policy",
    (3, 4, 0): "tls_chain_files tls_connection_reuse tls_servername",
    (3, 9, 0): "tls_enable_rpk",
    (3, 10, 0): "tlsrpt_enable tlsrpt_skip_reused_handshakes tlsrpt_socket_name",
    (3, 10, 5): "tls_enforce_sts_mx_patterns",
    (3, 11, 0): "log_tls_feature_status requiretls_policy",
    (3, 12, 0): "tls_loglevel_maps tls_trace_size_limit",
}
"""Names of the clients, without the ``smtp_`` or ``lmtp_`` before them."""

_SINCE: Final = {
    (2, 3, 0): """
        smtpd_client_new_tls_session_rate_limit smtpd_enforce_tls smtpd_sasl_tls_security_options smtpd_starttls_timeout
        smtpd_tls_CAfile smtpd_tls_CApath smtpd_tls_always_issue_session_ids smtpd_tls_ask_ccert smtpd_tls_auth_only
        smtpd_tls_ccert_verifydepth smtpd_tls_cert_file smtpd_tls_cipherlist smtpd_tls_dcert_file
        smtpd_tls_dh1024_param_file smtpd_tls_dh512_param_file smtpd_tls_dkey_file smtpd_tls_exclude_ciphers
        smtpd_tls_key_file smtpd_tls_loglevel smtpd_tls_mandatory_ciphers smtpd_tls_mandatory_exclude_ciphers
        smtpd_tls_mandatory_protocols smtpd_tls_received_header smtpd_tls_req_ccert smtpd_tls_security_level
        smtpd_tls_session_cache_database smtpd_tls_session_cache_timeout smtpd_tls_wrappermode smtpd_use_tls
        tls_daemon_random_bytes tls_export_cipherlist tls_high_cipherlist tls_low_cipherlist tls_medium_cipherlist
        tls_null_cipherlist tls_random_bytes tls_random_exchange_name tls_random_prng_update_period
        tls_random_reseed_period tls_random_source
        """,
    (2, 4, 15): "tls_append_default_CA",
    (2, 5, 0): "smtpd_tls_fingerprint_digest",
    (2, 6, 0): """
        smtpd_tls_ciphers smtpd_tls_eccert_file smtpd_tls_eckey_file smtpd_tls_eecdh_grade smtpd_tls_protocols
        tls_eecdh_strong_curve tls_eecdh_ultra_curve
        """,
    (2, 8, 0): "tls_disable_workarounds tls_preempt_cipherlist",
    (2, 9, 6): "tls_legacy_public_key_fingerprints",
    (2, 11, 0): """
        tls_dane_digest_agility tls_dane_digests tls_dane_trust_anchor_digest_enable tls_ssl_options
        tls_wildcard_matches_multiple_labels
        """,
    (3, 0, 0): "tls_session_ticket_cipher",
    (3, 1, 13): "tls_fast_shutdown tls_fast_shutdown_enable",
    (3, 2, 0): "tls_eecdh_auto_curves",
    (3, 4, 0): "smtpd_tls_chain_files tls_server_sni_maps",
    (3, 5, 20): "tls_config_file tls_config_name",
    (3, 8, 0): "tls_ffdhe_auto_groups",
    (3, 9, 0): "smtpd_tls_enable_rpk",
    (3, 10, 0): "tls_required_enable",
    (3, 12, 0): "smtpd_tls_loglevel_maps smtpd_tls_trace_size_limit tls_trace_rate_limit tls_trust_server_ccerts",
}

_OURS = re.compile(r"(?:smtpd?|lmtp)_|tls_|ssl_|starttls_", re.ASCII)
"""How the names of TLS parameters begin."""

_WORDS: Final = frozenset({"tls", "ssl", "tsl", "ttls", "tlss", "stls", "starttls", "cipher", "ciphers", "cipherlist"})
"""Words of which one is in every such name, and in the names that are meant to be one."""

_REFERENCE = re.compile(r"\$(?:[({]\s*)?([A-Za-z0-9_]+)", re.ASCII)


@cache
def tls_parameters() -> MappingProxyType[str, PostfixVersion]:
    """Every TLS parameter of every version, and since which each is known; 2.3.0 where it is older."""
    since: dict[str, PostfixVersion] = {}
    for version, names in _CLIENT_SINCE.items():
        for name in names.split():
            since[f"smtp_{name}"] = since[f"lmtp_{name}"] = PostfixVersion(*version)
    for version, names in _SINCE.items():
        since.update(dict.fromkeys(names.split(), PostfixVersion(*version)))
    return MappingProxyType(since)


def is_known(name: str, postfix: PostfixVersion) -> bool:
    """Whether this version reads a TLS parameter of that name."""
    return tls_parameters().get(name, OLDEST) <= postfix


def check_names(configuration: Configuration, postfix: PostfixVersion) -> tuple[Remark, ...]:
    """What is odd about the names that a configuration sets: parameters that this version does not read, and references
    to what looks like a TLS parameter and is none.

    A name that looks like a TLS parameter and never was one is an error, unless another value refers to it: then it is
    a macro of the administrator (postconf(5)). Postfix itself says no word of either.

    Raises:
        InvalidSetting: a name that is none.
    """
    known = tls_parameters()
    remarks: list[Remark] = []
    for name, setting in configuration.settings.items():
        since = known.get(name)
        if since is not None:
            for other in sorted(referred(setting.value) - known.keys() - configuration.settings.keys()):
                if _looks_like_one(other):
                    text = f"{name}: ${other} is empty, because it is not set, and no parameter"
                    remarks.append(Remark(text=text, place=setting.place))
            if since > postfix:
                text = f"{name} is not read by Postfix {postfix}: it is known since {since}"
                remarks.append(Remark(text=text, place=setting.place))
        elif _looks_like_one(name) and not any(
            name in referred(value)
            for value in (
                *configuration.referred,
                *(other.value for other in configuration.settings.values() if other is not setting),
            )
        ):
            near = get_close_matches(name, known, n=3, cutoff=0.75)
            raise InvalidSetting(
                str(setting.place),
                f"Postfix has no TLS parameter {name}",
                f"perhaps {' or '.join(near)}" if near else None,
            )
    return tuple(remarks)


def _looks_like_one(name: str) -> bool:
    return bool(_OURS.match(name)) and not _WORDS.isdisjoint(name.lower().split("_"))


def referred(value: str) -> set[str]:
    """The names that a value refers to, wherever in it."""
    return set(_REFERENCE.findall(value)) if "$" in value else set()
