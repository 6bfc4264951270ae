"""Where webhooks go: to no address that is not allowed, whatever a name leads to, and not in the clear."""

from datetime import timedelta
from ipaddress import ip_address, ip_network

import httpx
import pytest

from inset.settings import WebhookSettings
from inset.webhooks import Poster
from inset.webhooks.addresses import is_allowed
from tests.support.edge import make_certificates
from tests.support.serving import served
from tests.support.webhooks import Receiver

HEADERS = {"webhook-id": "evt_1"}


@pytest.fixture
async def receiver():
    receiver = Receiver()
    async with served(receiver) as url:
        receiver.port = url.rpartition(":")[2]
        yield receiver


@pytest.fixture
def post():
    """Post once, with these settings; gives the outcome."""

    async def posted(url, **settings):
        async with Poster.opened(WebhookSettings(**settings), httpx.create_ssl_context()) as poster:
            return await poster.post(url, HEADERS, b"{}")

    return posted


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.251",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::1",
        "2001:db8::1",
        "2001::1",
    ],
)
def test_an_internal_address_is_not_dialled(address):
    assert not is_allowed(ip_address(address), [], encrypted=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_an_address_of_the_internet_is_dialled_by_https_alone(address):
    assert is_allowed(ip_address(address), [], encrypted=True)
    assert not is_allowed(ip_address(address), [], encrypted=False)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7"])
def test_a_network_that_is_allowed_is_dialled_in_the_clear_too(address):
    networks = [ip_network("10.1.0.0/16"), ip_network("fd00::/64")]

    assert is_allowed(ip_address(address), networks, encrypted=False)
    assert not is_allowed(ip_address("10.2.0.1"), networks, encrypted=True)


async def test_this_machine_is_reached_where_the_url_names_it_and_not_by_a_name_that_leads_to_it(receiver, post):
    named = await post(f"http://localhost:{receiver.port}/")
    for url in (f"http://127.1:{receiver.port}/", f"https://127.1:{receiver.port}/", "https://127.1/"):
        assert (await post(url)).error == "address-not-allowed", url
    allowed = await post(f"http://127.1:{receiver.port}/", networks=["127.0.0.0/8"])

    assert (named.status, named.error) == (204, None)
    assert allowed.delivered
    assert len(receiver.received) == 2
    assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"


async def test_a_name_that_nobody_knows_and_a_port_where_nobody_listens_are_told_alike(post):
    assert (await post("https://nowhere.invalid/")).error == "unreachable"
    assert (await post("http://127.0.0.1:1/")).error == "unreachable"


async def test_no_proxy_of_the_environment_is_asked(receiver, post, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert (await post(f"http://127.0.0.1:{receiver.port}/")).delivered


async def test_a_certificate_is_verified_by_its_name_against_those_that_are_trusted(post, monkeypatch, tmp_path):
    make_certificates(tmp_path, "localhost")
    receiver = Receiver()
    files = {"ssl_certfile": str(tmp_path / "chain.pem"), "ssl_keyfile": str(tmp_path / "key.pem")}
    async with served(receiver, **files) as url:
        port = url.rpartition(":")[2]
        unknown = await post(f"https://localhost:{port}/", timeout=timedelta(seconds=60))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        misnamed = await post(f"https://127.0.0.1:{port}/", timeout=timedelta(seconds=60))
        trusted = await post(f"https://localhost:{port}/", timeout=timedelta(seconds=60))

    assert (unknown.error, misnamed.error) == ("tls-failed", "tls-failed")
    assert trusted.delivered
    assert len(receiver.received) == 1
