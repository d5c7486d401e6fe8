"""A program: prints in hexadecimal the hello that a libssl writes with given settings.

    python library_hello.py LIBRARY SETTINGS

The settings are the JSON of `openssl_hello.OpensslSettings`. It imports nothing else of the tests, as it runs with the
library's path alone in its environment.
"""

from __future__ import annotations

import ctypes
import json
import sys

# ssl.h of the generations; the names without SSL_CTRL_ and SSL_OP_.
_OPTIONS, _SET_GROUPS_LIST, _SET_MIN_PROTO_VERSION = 32, 92, 123


def main(library: str, text: str) -> None:
    settings = json.loads(text)
    ssl = ctypes.CDLL(library)
    for name in ("SSL_CTX_new", "SSL_new", "BIO_s_mem", "BIO_new"):
        getattr(ssl, name).restype = ctypes.c_void_p
    modern = hasattr(ssl, "TLS_client_method")
    method = ssl.TLS_client_method if modern else ssl.SSLv23_client_method
    method.restype = ctypes.c_void_p
    if not modern:
        ssl.SSL_library_init()
    context = ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(method())))
    if modern:
        ssl.SSL_CTX_set_options(context, ctypes.c_uint64(settings["options"]))
    else:
        ssl.SSL_CTX_ctrl(context, _OPTIONS, ctypes.c_long(settings["options"]), None)
    if settings["security_level"] is not None:
        ssl.SSL_CTX_set_security_level(context, settings["security_level"])
    if settings["oldest"] is not None:
        ssl.SSL_CTX_ctrl(context, _SET_MIN_PROTO_VERSION, ctypes.c_long(settings["oldest"]), None)
    if settings["groups"] is not None:
        groups = ctypes.c_char_p(settings["groups"].encode())
        if ssl.SSL_CTX_ctrl(context, _SET_GROUPS_LIST, ctypes.c_long(0), groups) != 1:
            sys.exit("the groups are refused")
    if ssl.SSL_CTX_set_cipher_list(context, settings["ciphers"].encode()) != 1:
        sys.exit("the ciphers are refused")
    connection = ctypes.c_void_p(ssl.SSL_new(context))
    inward, outward = (ctypes.c_void_p(ssl.BIO_new(ctypes.c_void_p(ssl.BIO_s_mem()))) for _ in range(2))
    ssl.SSL_set_bio(connection, inward, outward)
    ssl.SSL_connect(connection)
    buffer = ctypes.create_string_buffer(65536)
    length = ssl.BIO_read(outward, buffer, 65536)
    print(buffer.raw[: max(length, 0)].hex())


if __name__ == "__main__":
    main(*sys.argv[1:])
