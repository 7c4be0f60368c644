"""TLS on every port of a running node from one setting, client certificates in place of tokens, and certificates that are no good."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ptx_node.db import api_tokens
from ptx_node.db.session import begin_write, now
from ptx_node.domain.access import Permission
from ptx_node.errors import ConfigurationError
from ptx_node.inbound.tls import shown
from ptx_node.settings import TlsFiles, load
from ptx_node.simulator.processes import free_ports, port_answers, running, wait_until
from ptx_node.wiring.doctor import examine
from ptx_node.wiring.door_certificates import refused_certificates
from tests.authority import Authority
from tests.dashboard import PASSWORD, word
from tests.factories import Place, Size, as_file, dx
from tests.fhir_resources import bundle, diagnostic_report
from tests.hl7_sender import code, conversation, oru
from tests.node import TOKEN, Node

STOW, FHIR = "dicomweb/studies", "fhir/DiagnosticReport"


def dcmtk(program: str, *words: object) -> int:
    command = [f"/usr/bin/{program}", "-aet", "MODALITY", "-aec", "PTX", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, timeout=60, env={"TCP_NODELAY": "1"}).returncode


def stow_request(instance: int, token: str = "") -> dict[str, Any]:
    data = as_file(dx(Place(instance=instance), size=Size(32, 32)))
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', "Accept": "application/dicom+json"}
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
    return {"content": body, "headers": headers | ({"Authorization": f"Bearer {token}"} if token else {})}


def fhir_request(token: str = "") -> dict[str, Any]:
    headers = {"Content-Type": "application/fhir+json"}
    return {"json": bundle(diagnostic_report()), "headers": headers | ({"Authorization": f"Bearer {token}"} if token else {})}


def client_of(authority: Authority, *own: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.certificate)
    if own:
        context.load_cert_chain(*own)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "ca").mkdir()
    return Authority(tmp_path / "ca")


def test_one_setting_puts_tls_on_every_port(authority: Authority, tmp_path: Path, tiny_bundles: Path) -> None:
    """Each port answers who speaks TLS and trusts its certificate, and nobody who speaks in clear."""
    certificate, key = authority.issue("node")
    dicom, stow, hl7, fhir, web = free_ports(5)
    settings: dict[str, dict[str, Any]] = {
        "tls": {"certificate": str(certificate), "private_key": str(key)},
        "dashboard": {"enabled": True, "port": web},
        "hl7": {"enabled": True, "port": hl7, "senders": [{"name": "ris"}]},
        "fhir": {"enabled": True, "port": fhir, "bearer_tokens": [TOKEN]},
    }
    node = Node(tmp_path / "node", tiny_bundles, [], settings, port=dicom, stow_port=stow)
    with node.up(), httpx.Client(verify=client_of(authority), timeout=30) as client:
        for program, files in (("echoscu", ()), ("storescu", (tmp_path / "sent.dcm",))):
            (tmp_path / "sent.dcm").write_bytes(as_file(dx(Place(), size=Size(32, 32))))
            assert 0 == dcmtk(program, "--anonymous-tls", "+cf", authority.certificate, "127.0.0.1", dicom, *files), program
            assert 0 != dcmtk(program, "127.0.0.1", dicom, *files), program
        for port, path, request in ((stow, STOW, stow_request(2, TOKEN)), (fhir, FHIR, fhir_request(TOKEN))):
            _wait_for(port)
            assert client.post(f"https://127.0.0.1:{port}/{path}", **request).status_code in (200, 201)
            assert 401 == client.post(f"https://127.0.0.1:{port}/{path}", **{**request, "headers": {}}).status_code
            with pytest.raises(httpx.TransportError):
                httpx.post(f"http://127.0.0.1:{port}/{path}", **request)
            with pytest.raises(httpx.ConnectError, match="certificate"):
                httpx.post(f"https://127.0.0.1:{port}/{path}", **request)
        _wait_for(hl7)
        with conversation(hl7, _without_name(authority)) as peer:
            assert "AA" == code(peer.ask(oru()))
        with conversation(hl7) as peer, pytest.raises((EOFError, ConnectionError)):
            peer.ask(oru())
        _wait_for(web)
        told = (tmp_path / "node" / "up.log").read_text()
        link = re.search(rf"https://127\.0\.0\.1:{web}/welcome/\S+", told)
        assert link, told
        page = client.get(link[0])
        cookies = client.post(link[0], data={"csrf": word(page), "name": "anna", "password": PASSWORD, "again": PASSWORD})
        session = next(one for one in cookies.headers.get_list("set-cookie") if one.startswith("__Host-ptx-session="))
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(session.split("; "))
        assert "administrator" in client.get(f"https://127.0.0.1:{web}/account").text
        with begin_write(node.engine) as database:
            life = timedelta(days=1)
            token = api_tokens.add(database, "prometheus", [Permission.METRICS], life=life, by="test", now=now())
        metrics = client.get(f"https://127.0.0.1:{web}/metrics", headers={"Authorization": f"Bearer {token}"})
        assert "ptx_" in metrics.text
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{web}/metrics")
        assert {Place().uid(3), Place(instance=2).uid(3)} == set(node.instances())


def test_a_client_certificate_opens_stow_and_fhir_in_place_of_a_token(authority: Authority, tmp_path: Path, tiny_bundles: Path) -> None:
    """One of our authority does, without any token; another authority's does not, nor a token without a certificate."""
    certificate, key = authority.issue("node")
    (tmp_path / "other").mkdir()
    known, stranger = authority.issue("modality"), Authority(tmp_path / "other").issue("modality")
    stow, fhir = free_ports(2)
    door = {"enabled": True, "tls": {"trusted": str(authority.certificate)}, "bearer_tokens": []}
    settings: dict[str, dict[str, Any]] = {
        "tls": {"certificate": str(certificate), "private_key": str(key)},
        "broker": {"url": "redis://127.0.0.1:1/0"},  # nobody is there: what is stored waits
        "stow": {**door, "port": stow},
        "fhir": {**door, "port": fhir},
    }
    node = Node(tmp_path / "node", tiny_bundles, [], settings, port=free_ports(1)[0], stow_port=stow)
    ptx = [sys.executable, "-m", "ptx_node"]
    subprocess.run([*ptx, "db", "upgrade", "-c", node.config], check=True, capture_output=True, timeout=60)
    with ExitStack() as stack:
        for name, port in (("stow", stow), ("fhir", fhir)):
            command = [*ptx, "receive", "--door", name, "-c", node.config]
            stack.enter_context(running(command, log=tmp_path / f"{name}.log", ready=lambda port=port: port_answers(port), timeout_s=60))
        for port, path, request, bare in (
            (stow, STOW, stow_request(1), stow_request(1, TOKEN)),
            (fhir, FHIR, fhir_request(), fhir_request(TOKEN)),
        ):
            url = f"https://127.0.0.1:{port}/{path}"
            assert httpx.post(url, **request, verify=client_of(authority, *known), timeout=30).status_code in (200, 201)
            for context in (client_of(authority), client_of(authority, *stranger)):
                with pytest.raises(httpx.TransportError):
                    httpx.post(url, **bare, verify=context, timeout=30)
    assert [Place().uid(3)] == list(node.instances())


def start(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """`ptx up` that is expected not to stay."""
    (folder / "ptx.toml").write_text("\n".join(['[node]\nhome = "home"', *lines]))
    command = [sys.executable, "-m", "ptx_node", "up", "-c", str(folder / "ptx.toml")]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_certificate_that_cannot_be_used_stops_the_start_with_a_sentence(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("node")
    other = authority.issue("other")[1]
    locked, junk = tmp_path / "locked.key", tmp_path / "junk.pem"
    words = ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked]
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
    junk.write_text("no certificate")
    for files, told in (
        ({"certificate": tmp_path / "away.pem", "private_key": key}, "away.pem with the private key"),
        ({"certificate": junk, "private_key": key}, "it is not in PEM, or damaged"),
        ({"certificate": certificate, "private_key": other}, "the key belongs to another certificate"),
        ({"certificate": certificate, "private_key": locked}, "has a password"),
        ({"certificate": certificate}, "which must hold its private key too"),
        ({"certificate": certificate, "private_key": key, "trusted": junk}, "of clients cannot be checked by"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            shown(TlsFiles(**files))
    done = start(tmp_path, f'[tls]\ncertificate = "{certificate}"\nprivate_key = "{other}"')
    assert 2 == done.returncode
    assert [f"ptx: the certificate {certificate} with the private key {other} cannot be used: the key belongs to another certificate"] == (
        done.stderr.splitlines()
    )
    assert not (tmp_path / "home" / "ptx.db").exists(), "nothing was begun"


def test_a_certificate_that_peers_refuse_is_said(authority: Authority, tmp_path: Path) -> None:
    """By `ptx up` before the doors open, and by `ptx doctor`, which also tells when a good one ends."""
    for files, told, state in (
        (authority.moved("old", timedelta(days=-3)), "it has expired", "failed"),
        (authority.moved("early", timedelta(days=3)), "it is not valid yet", "failed"),
        (authority.issue("elsewhere", "DNS:ptx.example.org"), "it is not for 127.0.0.1", "warning"),
        (authority.issue("node"), "the certificate ends on", "warning"),
    ):
        config = tmp_path / "ptx.toml"
        certificate, key = files
        config.write_text(f'[node]\nhome = "home"\n[tls]\ncertificate = "{certificate}"\nprivate_key = "{key}"\nplain = ["dashboard"]\n')
        settings = load(config)
        (check,) = (one for one in examine(settings) if one.name == "dicom.tls")
        assert (state, True) == (check.state, told in check.detail), check
        assert [told in one for one in refused_certificates(settings)] == ([] if files[0].stem == "node" else [True])


def _wait_for(port: int) -> None:
    wait_until(lambda: port_answers(port), what=f"port {port}", timeout_s=60)


def _without_name(authority: Authority) -> ssl.SSLContext:
    """The sender of the tests names no host."""
    context = client_of(authority)
    context.check_hostname = False
    return context
