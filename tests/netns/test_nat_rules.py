# SPDX-License-Identifier: BSD-2-Clause
"""Source NAT on a policy interface: said as long as it stands, and what is said to be written mends it."""
import shlex

import pytest

from confs import adit_conf, files
from gateways import BUILD
from netlab import HOST, HOST6, wait_for

POST = "type nat hook postrouting priority 100;"
ADVICE = "in front of it: "


def start_both(aditd, **conf):
    aditd("gwB", adit_conf("B", **conf), files())
    return aditd("gwA", adit_conf("A", **conf), files())


def warnings(a):
    return a.json("status", check=False)["warnings"]


def warned(a):
    """Its one warning, once there is one; status says so by its exit code and to people, too."""
    said = wait_for("a warning", lambda: warnings(a), 30)
    assert len(said) == 1, said
    done = a.command("status", check=False)
    assert done.returncode == 1 and "WARN wan0: " in done.stdout
    return said[0]


def silent(a):
    wait_for("no warning", lambda: not warnings(a), 30)
    assert a.command("status", check=False).returncode == 0


def in_clear(lab, capture, to):
    """Packets of protected flows on the wire, whatever their source has become."""
    wire = capture("inet", "a0", f"dst {to} and not esp and not udp")
    lab.ping("hostA", to, 3)
    return sum(wire.names().values())


NFT4 = [("nft", f"add table ip nat; add chain ip nat post {{ {POST} }}; add rule ip nat post oifname wan0 masquerade")]
NFT6 = [("nft", f"add table inet fw; add chain inet fw out; add chain inet fw post {{ {POST} }};"
                "add rule inet fw post oifname \"wan*\" jump out; add rule inet fw out masquerade")]
KINDS = {
    "nft": (4, NFT4, "nftables rule ip nat post handle ", "nft insert rule ip nat post "),
    "nft-jump-ipv6": (6, NFT6, "nftables rule inet fw out handle ", "nft insert rule inet fw post "),
    "iptables-nft": (4, [("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")],
                     "nftables rule ip nat POSTROUTING handle ", "iptables-nft -t nat -I POSTROUTING "),
    "iptables-legacy": (4, [("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")],
                        "iptables rule ip nat POSTROUTING number 1 ", "iptables-legacy -t nat -I POSTROUTING "),
    "ip6tables-legacy": (6, [("ip6tables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", "wan+", "-j", "MASQUERADE")],
                         "iptables rule ip6 nat POSTROUTING number 1 ", "ip6tables-legacy -t nat -I POSTROUTING "),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_that_comes_is_told_and_its_remedy_works(lab, aditd, capture, kind):
    family, commands, named, remedy = KINDS[kind]
    to = (HOST if family == 4 else HOST6)["B"]
    a = start_both(aditd, family=family)
    assert lab.ping("hostA", to, 3, 56, 5) == 3
    silent(a)
    for argv in commands:
        lab.run("gwA", *argv)
    text = warned(a)
    assert named in text and " rewrites " in text and "leave in clear" in text
    assert in_clear(lab, capture, to), "the warning says that it leaves in clear, and it does not"
    advice = text.split(ADVICE)[1].split("; ")
    assert len(advice) == 1 and advice[0].startswith(remedy)
    lab.run("gwA", *shlex.split(advice[0]))
    silent(a)
    wire = capture("inet", "a0")
    assert not in_clear(lab, capture, to)
    assert lab.ping("hostA", to, 5) == 5
    wire.assert_only_ipsec()
    log = a.text()
    assert log.count(text) == 2 and log.count(f"no longer so: {text}") == 1, "once when it begins, once when it ends"


def test_it_is_told_at_the_start_and_ends_with_the_rule(lab, aditd):
    for argv in NFT4:
        lab.run("gwA", *argv)
    a = start_both(aditd)
    text = warned(a)
    lab.run("gwA", "nft", "add chain ip nat other")  # a change that changes nothing
    lab.run("gwA", "nft", "flush chain ip nat post")
    silent(a)
    lab.run("gwA", "nft", "add rule ip nat post ip saddr 10.1.0.0/16 masquerade")
    again = warned(a)
    assert again != text and "ip saddr 10.1.0.0/16 masquerade" in again
    lab.run("gwA", "nft", "delete table ip nat")
    silent(a)


def test_rules_that_cannot_match_are_not_told_of(lab, aditd):
    a = start_both(aditd)
    lab.run("gwA", "nft", f"add table ip nat; add chain ip nat post {{ {POST} }};"
            "add set ip nat far { type ipv4_addr; flags interval; elements = { 10.1.2.0/24, 10.7.0.0/16 }; };"
            "add rule ip nat post oifname lan0 masquerade;"
            "add rule ip nat post oifname wan0 ip saddr 10.9.0.0/16 masquerade;"
            "add rule ip nat post oifname wan0 ip daddr != 10.1.2.0/24 masquerade;"
            "add rule ip nat post oifname wan0 ip daddr != { 10.1.2.0/24, 10.7.0.0/16 } snat to 192.0.2.1;"
            "add rule ip nat post oifname wan0 ip daddr @far accept;"
            "add rule ip nat post oifname { wan0, lte0 } masquerade")
    # The last one can only be told apart from the rest by what the set holds.
    lab.run("gwA", "nft", "add table ip marked; add chain ip marked post { " + POST + " }; add rule ip marked post meta mark 7 masquerade")
    text = warned(a)
    assert "rule ip marked post" in text and " may rewrite " in text
    lab.run("gwA", "nft", "delete table ip marked")
    silent(a)
    lab.run("gwA", "nft", "delete element ip nat far { 10.1.2.0/24 }")
    assert "oifname { lte0, wan0 } masquerade" in warned(a) or "oifname { wan0, lte0 } masquerade" in warned(a)


def test_our_own_table_is_nobodys_rules(lab, aditd):
    def fast():
        return {i["name"]: i["fast_path"] for i in a.json("show", "interface")["interfaces"]}["lan0"]

    a = start_both(aditd)
    wait_for("the fast path", lambda: fast() == "on", 10)
    chains = "add chain inet {0} {1} {{ type filter hook {1} priority 0; }};"
    both = "add table inet {0};" + chains.replace("{1}", "prerouting") + chains.replace("{1}", "postrouting")
    lab.run("gwA", "nft", both.format("adit-test") + f"add chain inet adit-test nat {{ {POST} }}; add rule inet adit-test nat masquerade")
    lab.run("gwA", "nft", both.format("other"))
    wait_for("another's table turns it off", lambda: fast() == "off", 10)
    lab.run("gwA", "nft", "delete table inet other")
    wait_for("ours alone does not", lambda: fast() == "on", 10)
    assert not warnings(a)


def test_rules_that_cannot_be_read_are_told_of(lab, aditd):
    for argv in NFT4:
        lab.run("gwA", *argv)
    a = aditd("gwA", adit_conf("A"), files(), start=False)
    blind = ("unshare", "-m", "sh", "-c", 'mount --bind /bin/false /usr/sbin/nft && exec "$@"', "sh")
    a.child = lab.start("gwA", a.log.name, *blind, BUILD / "aditd", "-f", a.conf, "-i", a.instance)
    wait_for("aditd answers", a.answers, 15)
    said = wait_for("a warning", lambda: warnings(a), 30)
    assert len(said) == 1 and "nftables NAT rules cannot be read (with nft)" in said[0]
