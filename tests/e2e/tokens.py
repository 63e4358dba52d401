# SPDX-License-Identifier: MIT
"""Tokens for users: made by python3-jwt, and by hand where that would not.

The keys are the tests' own; the server has them by the admin API.
"""
import base64
import hashlib
import hmac
import json
import time

from client import Rest, operator

try:
    import jwt
    from cryptography.hazmat.primitives.asymmetric.ed25519 import \
        Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, \
        PublicFormat
except ImportError as e:
    raise ImportError("the Python modules jwt and cryptography are missing "
                      "(Debian packages python3-jwt and "
                      "python3-cryptography)") from e

LEEWAY = 5


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header, claims, secret):
    """An HS256 token of any text for header and claims."""
    parts = [p if isinstance(p, bytes) else
             (p if isinstance(p, str) else json.dumps(p)).encode()
             for p in (header, claims)]
    text = ".".join(map(base64url, parts))
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64url(mac)}"


class Issuer:
    """What a tenant's backend does: it has the key and makes tokens."""

    def __init__(self, tenant, algorithm="HS256", key=None):
        self.tenant = tenant
        self.server = tenant.server
        self.algorithm = algorithm
        if algorithm == "HS256":
            self.key = key or "a secret of 32 bytes or rather more"
            self.setting = {"jwt_secret": self.key}
        else:
            self.key = key or Ed25519PrivateKey.generate()
            self.setting = {"jwt_public_key": base64url(self.raw_public())}

    def raw_public(self):
        return self.key.public_key().public_bytes(Encoding.Raw,
                                                  PublicFormat.Raw)

    def pem(self):
        return self.key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def install(self):
        change(self.tenant, **self.setting)
        return self

    def claims(self, user="ann", seconds=600, **more):
        claims = {"tid": self.tenant.id, "sub": user,
                  "exp": int(time.time()) + seconds}
        claims.update(more)
        return {k: v for k, v in claims.items() if v is not None}

    def token(self, user="ann", seconds=600, headers=None, **more):
        return jwt.encode(self.claims(user, seconds, **more), self.key,
                          algorithm=self.algorithm, headers=headers)

    def user(self, user="ann", slot=None, **more):
        """A user's own REST connection."""
        return Rest(self.server, bearer(self.token(user, **more)), slot)


class Bearer:
    """Stands for a tenant where a Chat wants one: no header at all."""

    def __init__(self, server):
        self.server = server

    @staticmethod
    def headers(user=None):
        return {}


def bearer(token):
    return {"Authorization": "Bearer " + token}


def change(tenant, **settings):
    return operator(tenant.server).call(
        "PATCH", f"/admin/tenants/{tenant.id}", settings).expect(200)
