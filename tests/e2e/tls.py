# SPDX-License-Identifier: MIT
"""Certificates made for a test, and servers that use them."""
import datetime
import ipaddress
import os
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from harness import DEADLINE, free_port
from raw import Raw

DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_pem(key, password=None):
    how = serialization.NoEncryption() if password is None else \
        serialization.BestAvailableEncryption(password)
    return key.private_bytes(serialization.Encoding.PEM,
                             serialization.PrivateFormat.PKCS8, how)


class Authority:
    """Signs certificates for localhost; writes them into a directory."""

    def __init__(self, directory):
        self.dir = str(directory)
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = _name("test authority")
        self.cert = self._sign(name, name, self.key.public_key(), [
            (x509.BasicConstraints(True, None), True)])
        self.pem = self.cert.public_bytes(serialization.Encoding.PEM)
        self.files = self.write("server")

    def _sign(self, subject, issuer, public, extensions):
        now = datetime.datetime.utcnow()
        b = x509.CertificateBuilder().subject_name(subject) \
            .issuer_name(issuer).public_key(public) \
            .serial_number(x509.random_serial_number()) \
            .not_valid_before(now - DAY).not_valid_after(now + 7 * DAY)
        for extension, critical in extensions:
            b = b.add_extension(extension, critical)
        return b.sign(self.key, hashes.SHA256())

    def make(self, key=None):
        """(certificate with its chain, key) as PEM, and its serial."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        cert = self._sign(_name("localhost"), self.cert.subject,
                          key.public_key(), [(names, False)])
        pem = cert.public_bytes(serialization.Encoding.PEM) + self.pem
        return pem, key_pem(key), cert.serial_number

    def weak(self):
        """A pair whose key is too short to be let in."""
        return self.make(rsa.generate_private_key(65537, 1024))[:2]

    def write(self, name):
        """The same in two files; returns their paths."""
        pem, key, self.serial = self.make()
        paths = [os.path.join(self.dir, name + end)
                 for end in (".crt", ".key")]
        for path, text in zip(paths, (pem, key)):
            with open(path, "wb") as f:
                f.write(text)
        return paths

    def context(self):
        """What a client trusts."""
        return ssl.create_default_context(cadata=self.pem.decode())


def tls_server(start_server, ca, **kwargs):
    """A server with a plain port and a TLS port."""
    port = free_port()
    env = {"TLS_CERT": ca.files[0], "TLS_KEY": ca.files[1],
           "TLS_LISTEN_ADDR": f"127.0.0.1:{port}"}
    env.update(kwargs.pop("env", {}))
    server = start_server(env=env, **kwargs)
    server.tls_port = port
    return server


def dial(server, context, rcvbuf=None):
    """A TLS connection whose handshake is done."""
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(DEADLINE)
    s.connect(("127.0.0.1", server.tls_port))
    return context.wrap_socket(s, server_hostname="localhost")


def tls_open(tenant, ca, user, rcvbuf=None):
    """A bare WebSocket over TLS that has had its welcome."""
    ws = Raw(tenant.server, sock=dial(tenant.server, ca.context(), rcvbuf))
    status, _, body = ws.handshake(tenant.headers(user))
    assert status == 101, (status, body)
    ws.welcome = ws.read_json()
    assert ws.welcome["type"] == "welcome", ws.welcome
    return ws


def served_serial(server, ca):
    """Of the certificate that a new connection is shown."""
    with dial(server, ca.context()) as s:
        return x509.load_der_x509_certificate(
            s.getpeercert(binary_form=True)).serial_number
