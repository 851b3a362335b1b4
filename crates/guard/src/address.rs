//! Which addresses are the public internet's, and which belong to this machine, its network or a
//! cloud's metadata service. It judges an address already resolved; it never looks a name up, so
//! that the address judged is the address dialled.
//!
//! The blocks are those of the IANA special-purpose registries (RFC 6890 and its successors).
//! Addresses that carry another inside them (IPv4-mapped, NAT64, 6to4, Teredo) are judged by what
//! they carry, and where that could be rewritten on the way they are refused whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True where `address` is globally reachable: neither private, loopback, link-local, shared
/// (CGNAT), documentation, multicast nor reserved, in any of its disguises.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)                   // this network, private, loopback
            | (100, 64..=127, _)               // shared address space, RFC 6598
            | (169, 254, _)                    // link-local, the metadata services among it
            | (172, 16..=31, _)                // private
            | (192, 168, _)                    // private
            | (192, 0, 0 | 2)                  // protocol assignments, documentation
            | (192, 88, 99)                    // 6to4 relay, deprecated
            | (198, 18 | 19, _)                // benchmarking
            | (198, 51, 100)                   // documentation
            | (203, 0, 113)                    // documentation
            | (224..=255, _, _) // multicast, reserved, broadcast
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let s = address.segments();
    match s {
        // 64:ff9b::/96, the well-known NAT64 prefix: the last 32 bits are dialled.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        // 2002::/16, 6to4: the 32 bits after the prefix are dialled.
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        // 2001::/23 protocol assignments (Teredo and ORCHID among them), 2001:db8::/32 documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] => false,
        // 3fff::/20, documentation.
        [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast is 2000::/3 and nothing else: unique-local, link-local, multicast, ::1,
        // the IPv4-compatible block and local-use NAT64 (64:ff9b:1::/48) all lie outside it.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::is_public;

    fn check(public: bool, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
        }
    }

    #[test]
    fn the_internet_is_public() {
        check(
            true,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "100.63.255.255",
                "100.128.0.1",
                "172.15.0.1",
                "172.32.0.1",
                "223.255.255.254",
            ],
        );
        check(
            true,
            &[
                "2606:4700::1111",
                "2a00:1450:4001:81b::200e",
                "::ffff:8.8.8.8",
                "64:ff9b::8.8.8.8",
                "2002:808:808::1",
            ],
        );
    }

    #[test]
    fn this_machine_and_its_network_are_not() {
        check(
            false,
            &[
                "0.0.0.0",
                "10.1.2.3",
                "127.0.0.1",
                "127.255.255.254",
                "100.64.0.1",
                "169.254.169.254",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.0.1",
                "192.0.0.8",
                "192.0.2.1",
                "192.88.99.1",
                "198.18.0.1",
                "198.51.100.7",
                "203.0.113.9",
                "224.0.0.1",
                "240.0.0.1",
                "255.255.255.255",
            ],
        );
        check(
            false,
            &[
                "::",
                "::1",
                "fe80::1",
                "fc00::1",
                "fd00:ec2::254",
                "ff02::1",
                "2001:db8::1",
                "3fff::1",
                "100::1",
            ],
        );
    }

    #[test]
    fn a_disguise_does_not_help() {
        check(
            false,
            &[
                "::ffff:127.0.0.1",
                "::ffff:169.254.169.254",
                "::127.0.0.1",
                "64:ff9b::10.0.0.1",
                "64:ff9b:1::1",
                "2002:7f00:1::",
                "2002:a9fe:a9fe::1",
                "2001:0:53aa:64c::1",
            ],
        );
    }
}
