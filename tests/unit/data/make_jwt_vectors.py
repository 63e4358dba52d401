#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes jwt_vectors.txt: tokens that python3-jwt (PyJWT) made.

One a line: good or bad, the tenant's algorithm and key in hex, the token.
"""
import json

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import \
    Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, \
    PublicFormat

TID = "tenant_" + "0123456789" + "abcdefghjkmn"
NOW = 1_800_000_000


def claims(**more):
    return {"tid": TID, "sub": "alice", "exp": NOW + 60, **more}


def public(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def main():
    for n in (1, 32, 64, 65, 512):
        secret = bytes((i * 7 + n) % 256 for i in range(n))
        token = jwt.encode(claims(n=n), secret, algorithm="HS256")
        print("good", "HS256", secret.hex(), token)
        print("bad", "HS256", (b"x" + secret).hex(), token)
        print("bad", "HS256", secret.hex(),
              jwt.encode(claims(n=n), secret, algorithm="HS512"))
        print("bad", "HS256", secret.hex(),
              jwt.encode(claims(n=n), None, algorithm="none"))
        head, body, mac = token.split(".")
        print("bad", "HS256", secret.hex(), f"{head}.{body}.")
        print("bad", "HS256", secret.hex(), f"{head}.{body}.{mac[:-4]}")
        print("bad", "HS256", secret.hex(), f"{head}.{body}a.{mac}")
        print("bad", "HS256", secret.hex(), token + "=")
    for n in range(8):
        key = Ed25519PrivateKey.from_private_bytes(bytes([n] * 32))
        other = Ed25519PrivateKey.from_private_bytes(bytes([n + 1] * 32))
        token = jwt.encode(claims(nbf=NOW, x={"deep": [n]}, sub="zoë 🐟"),
                           key, algorithm="EdDSA")
        print("good", "EdDSA", public(key).hex(), token)
        print("bad", "EdDSA", public(other).hex(), token)
        # The public key taken for a secret: RFC 8725 section 2.1.
        mixed = jwt.encode(claims(), public(key), algorithm="HS256")
        print("bad", "EdDSA", public(key).hex(), mixed)
        print("bad", "HS256", public(key).hex(), token)
        print("good", "HS256", public(key).hex(), mixed)
        head, body, mac = token.split(".")
        print("bad", "EdDSA", public(key).hex(), f"{head}.{body}.{mac[2:]}")
    for member in ({"crit": ["exp"]}, {"crit": []}, {"b64": True,
                                                     "crit": ["b64"]}):
        print("bad", "HS256", b"k".hex(),
              jwt.encode(claims(), b"k", algorithm="HS256", headers=member))
    # A compact encoder is not needed: white space is JSON, too.
    print("good", "HS256", b"k".hex(), jwt.encode(
        claims(), b"k", algorithm="HS256", headers={"kid": "a b", "x": 1},
        json_encoder=type("Wide", (json.JSONEncoder,), {
            "encode": lambda self, o: json.dumps(o, indent=4)})))


if __name__ == "__main__":
    main()
