"""Which addresses belong to the public internet: IANA's registries, entry by entry."""

import ipaddress

import pytest

from memtriggers.pipelines.images.public import is_public

# https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-…: those that are not
# globally reachable, or of which it says nothing; multicast and what is not given to anybody.
NOT_PUBLIC = [
    *("0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.170/32", "192.0.0.171/32"),
    *("192.0.0.11/32", "192.0.0.128/25", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    *("255.255.255.255/32", "168.63.129.16/32"),
    *("::/128", "::1/128", "::ffff:0.0.0.0/104", "::ffff:127.0.0.0/104", "::ffff:10.0.0.0/104"),
    *("64:ff9b::7f00:0/104", "64:ff9b::a00:0/104", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/40", "2001:1::/128", "2001:1::4/128", "2001:2::/48", "2001:4:113::/48"),
    *("2001:10::/28", "2001:db8::/32", "2002:7f00::/24", "2002:a00::/24", "3fff::/20"),
    *("5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "4000::/3", "::/8"),
]
PUBLIC = [
    *("1.1.1.1/32", "93.184.216.0/24", "192.0.0.9/32", "192.0.0.10/32", "192.0.1.0/24"),
    *("192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "100.128.0.0/9", "198.20.0.0/16"),
    *("172.32.0.0/16", "223.255.255.0/24", "168.63.129.17/32"),
    *("2606:4700::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32"),
    *("2001:4:112::/48", "2001:20::/28", "2001:30::/28", "2620:4f:8000::/48", "2001:200::/23"),
    *("64:ff9b::101:101/128", "::ffff:1.1.1.1/128", "2002:101:101::/48"),
]


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_what_is_not_public(network: str) -> None:
    block = ipaddress.ip_network(network)
    assert not is_public(block[0])
    assert not is_public(block[-1])


@pytest.mark.parametrize("network", PUBLIC)
def test_what_is_public(network: str) -> None:
    block = ipaddress.ip_network(network)
    assert is_public(block[0])
    assert is_public(block[-1])


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    ],
)
def test_metadata_of_clouds_and_addresses_in_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
