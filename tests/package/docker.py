#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does what contrib/docker/Dockerfile says, step by step, in directories
that debootstrap has made, and looks whether what comes out of it is healthy.

Minutes; needs root, the network, debootstrap, util-linux and iproute2, and no
Docker.
  CHATAPI_DEB_ROOT   a directory with a Debian that debootstrap has made; it
                     is copied
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time

TOP = os.environ.get("top_srcdir") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("top_builddir") or TOP
WORK = os.path.join(BUILD, "tests", "package", "docker-work")
FILE = os.path.join(TOP, "contrib", "docker", "Dockerfile")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def skip(why):
    print("docker.py: skipped:", why, file=sys.stderr)
    sys.exit(77)


def die(why):
    sys.exit(f"docker.py: {why}")


def run(*command, **kwargs):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **kwargs)
    if done.returncode != 0:
        print(done.stdout[-4000:], file=sys.stderr)
        die(f"{' '.join(command)[:300]}: status {done.returncode}")
    return done.stdout


def steps():
    """[(instruction, text)]"""
    with open(FILE, encoding="utf-8") as f:
        lines = [line for line in f if not line.startswith("#")]
    text = re.sub(r"\\\n", " ", "".join(lines))
    return [tuple(line.split(None, 1)) for line in text.splitlines()
            if line.strip()]


def base():
    """A Debian, made once."""
    given = os.environ.get("CHATAPI_DEB_ROOT")
    if given:
        return given
    if shutil.which("debootstrap") is None:
        skip("there is no debootstrap")
    path = os.path.join(WORK, "base")
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", "bookworm", path,
         "http://deb.debian.org/debian"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        skip("debootstrap could not make a Debian")
    return path


class Stage:
    def __init__(self, name, root):
        self.name = name
        self.root = os.path.join(WORK, root)
        self.env = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"}
        self.user = "root"
        self.dir = "/"
        self.entrypoint = self.health = None
        self.volumes = []

    def path(self, inside):
        return os.path.join(self.root, inside.lstrip("/"))

    def make(self, debian):
        run("cp", "-a", debian, self.root)
        shutil.copy("/etc/resolv.conf", self.path("/etc/resolv.conf"))
        for f in glob.glob("/etc/apt/apt.conf.d/*prox*") + \
                glob.glob("/etc/apt/apt.conf.d/99*"):
            shutil.copy(f, self.path("/etc/apt/apt.conf.d/"))

    def command(self, *command):
        return ["chroot", f"--userspec={self.user}", self.root,
                "env", "-i", *(f"{k}={v}" for k, v in self.env.items()),
                "sh", "-c", f'cd {self.dir} && exec "$@"', "sh", *command]

    def step(self, what, text, stages):
        if what == "RUN":
            print("docker.py: RUN", text[:60], flush=True)
            run(*self.command("sh", "-c", text))
        elif what == "COPY" and text.startswith("--from="):
            source, src, dst = text[len("--from="):].split()
            run("cp", "-a", stages[source].path(src) + "/.", self.path(dst))
        elif what == "COPY":
            src, dst = text.split()
            assert src == ".", text
            run("make", "-s", "-C", BUILD, "distdir",
                "distdir=" + self.path(dst))
        elif what == "ENV":
            name, value = text.split("=", 1)
            self.env[name] = value
        elif what == "USER":
            self.user = text.strip()
        elif what == "WORKDIR":
            self.dir = text.strip()
        elif what == "VOLUME":
            self.volumes.append(text.strip())
        elif what == "HEALTHCHECK":
            self.health = json.loads(text.split(" CMD ", 1)[1])
        elif what == "ENTRYPOINT":
            self.entrypoint = json.loads(text)
        elif what != "EXPOSE":
            die(f"what is {what}?")


def build():
    debian = base()
    stages = {}
    stage = None
    for what, text in steps():
        if what != "FROM":
            stage.step(what, text, stages)
            continue
        words = text.split()
        if words[0] != "debian:bookworm-slim":
            die(f"FROM {text}?")
        name = words[2] if len(words) == 3 else "image"
        stage = stages[name] = Stage(name, name)
        stage.make(debian)
    return stage


def try_image(image):
    """Its entry point, in a network of its own, and its own health check."""
    if image.user == "root":
        die("the server would be root")
    for v in image.volumes:
        made = run(*image.command("stat", "-c", "%U", v)).strip()
        if made != image.user:
            die(f"{v} is {made}'s")
    # A container has one.
    run("mount", "-t", "proc", "proc", image.path("/proc"))
    server = subprocess.Popen(
        ["unshare", "--net", "--", "sh", "-c",
         'ip link set lo up && exec "$@"', "sh",
         *image.command(*image.entrypoint)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while True:
            done = subprocess.run(
                ["nsenter", "--net", f"--target={server.pid}", "--",
                 *image.command(*image.health)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            if done.returncode == 0:
                break
            if server.poll() is not None or time.monotonic() > end:
                server.kill()
                die("not healthy: " + server.stderr.read()[-3000:])
            time.sleep(0.2)
        said = run(*image.command(*image.entrypoint, "tenant", "create",
                                  "acme"))
        if "sk_" not in said:
            die(f"no tenant was made: {said}")
        server.terminate()
        if server.wait(30) != 0:
            die("it did not stop as it should")
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
        run("umount", "-l", image.path("/proc"))


def main():
    if os.geteuid() != 0:
        skip("this needs root")
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            skip(f"there is no {tool}")
    os.environ.pop("MAKEFLAGS", None)
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    try:
        try_image(build())
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    print("docker.py: built as the Dockerfile says, healthy, stopped")


main()
