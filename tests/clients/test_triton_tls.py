"""TLS and mutual TLS against real servers, with certificates made for the occasion."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import pytest

from clients.triton import TlsOptions, TritonClient
from clients.triton_async import AsyncTritonClient
from pipeline.errors import InputError, ServerError
from serving.triton.server.options import TritonOptions
from tests.clients.stand_in import says, stand_in_server
from tests.conftest import run_command


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Folder with an authority (ca), what it signed (server, client), and a stranger that signed itself."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificates, is not installed")
    folder = tmp_path_factory.mktemp("pem")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("ca", "stranger"):
        files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        openssl("req", "-x509", *new_key, "-days", 2, "-subj", f"/CN={name}", *files)
    for name in ("server", "client"):
        request = folder / f"{name}.csr"
        openssl("req", *new_key, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", request)
        authority = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial")
        signed = ("-days", 2, "-extfile", folder / "names", "-out", folder / f"{name}.pem")
        openssl("x509", "-req", "-in", request, *authority, *signed)
    return folder


def certificates(pem, **more):
    return TritonOptions(tls_cert=pem / "server.pem", tls_key=pem / "server.key", **more)


@pytest.fixture(scope="module", params=[False, True], ids=["front", "direct"])
def encrypted(pem, tmp_path_factory, request):
    """A server that shows its certificate."""
    options = certificates(pem, direct_grpc=request.param)
    with stand_in_server(tmp_path_factory.mktemp("tls"), options=options) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(pem, tmp_path_factory):
    """A server that wants to see the client's certificate too."""
    options = certificates(pem, tls_client_ca=pem / "ca.pem")
    with stand_in_server(tmp_path_factory.mktemp("mutual"), options=options) as server:
        yield server


def failure(server, tls):
    with TritonClient(server.grpc_address, retries=0, tls=tls) as client, pytest.raises(ServerError) as caught:
        client.server_version()
    return str(caught.value)


def test_a_server_of_a_trusted_authority_is_asked(encrypted, pem):
    with TritonClient(encrypted.grpc_address, tls=TlsOptions(pem / "ca.pem")) as client:
        assert says(client, "裁员") == "裁员"


def test_from_asyncio_too(mutual, pem):
    async def ask():
        tls = TlsOptions(pem / "ca.pem", pem / "client.pem", pem / "client.key")
        async with AsyncTritonClient(mutual.grpc_address, tls=tls) as client:
            return await client.classify(["裁员"])

    [[prediction]] = asyncio.run(ask())
    assert prediction.label == "裁员"


def test_from_the_command_line_too(mutual, pem):
    files = ("--tls_ca", pem / "ca.pem", "--tls_cert", pem / "client.pem", "--tls_key", pem / "client.key")
    shown = run_command("-m", "clients.triton", "--url", mutual.grpc_address, *files, "裁员").stdout
    assert "─ 裁员  0.750" in shown


@pytest.mark.parametrize("authority", ["stranger.pem", None])
def test_a_server_of_another_authority_is_not_trusted(encrypted, pem, authority):
    message = failure(encrypted, TlsOptions(authority and pem / authority))
    assert message.startswith(f"no TLS connection to {encrypted.grpc_address} (")
    assert "CERTIFICATE_VERIFY_FAILED" in message


def test_a_server_without_tls_is_told_apart(stand_in, pem):
    assert "that the server uses TLS at all" in failure(stand_in, TlsOptions(pem / "ca.pem"))


@pytest.mark.parametrize("name", [None, "stranger"])
def test_a_client_that_the_server_does_not_trust_is_told_so(mutual, pem, name):
    tls = TlsOptions(pem / "ca.pem", *(pem / f"{name}.{kind}" for kind in ("pem", "key") if name))
    assert "wants TLS or a client certificate" in failure(mutual, tls)


def test_a_client_without_tls_is_told_what_the_server_wants(encrypted):
    assert "wants TLS or a client certificate" in failure(encrypted, None)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("absent.pem", None, None), r"cannot read the TLS file .*absent\.pem: No such file"),
        (("names", None, None), "names holds no certificate in PEM format"),
        (("ca.pem", "client.pem", None), "a TLS certificate without its key"),
        (("ca.pem", None, "client.key"), "a TLS key without its certificate"),
        (("ca.pem", "client.pem", "server.key"), "no certificate and its unencrypted private key"),
        (("ca.pem", "names", "client.key"), "no certificate and its unencrypted private key"),
        (("ca.pem", "client.pem", "locked.key"), "no certificate and its unencrypted private key"),
    ],
)
def test_files_that_cannot_be_used_are_named(pem, files, message):
    openssl("ec", "-in", pem / "client.key", "-aes256", "-passout", "pass:1234", "-out", pem / "locked.key")
    with pytest.raises(InputError, match=message):
        TlsOptions(*(name and pem / name for name in files))
