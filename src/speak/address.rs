//! Where the house may call: a client names the endpoint, so it must not lead into our own network.
//!
//! An endpoint is judged when it is subscribed and again at every send, then on the addresses its name resolves to; the
//! connection goes to exactly the addresses that were judged, so a name that changes its mind in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Settings;

/// Characters of an endpoint.
pub const ENDPOINT_MAX: usize = 2048;

/// Where a cloud machine is handed its own credentials. No setting opens them. Most of it is link-local, where nobody subscribes.
const METADATA: [Network; 11] = [
    Network::v4([169, 254, 0, 0], 16),
    Network::v4([100, 100, 100, 200], 32),
    Network::v4([168, 63, 129, 16], 32),
    Network::v4([192, 0, 0, 192], 32),
    Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
    Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128),
    Network::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),
    Network::v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128),
    Network::v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128),
    Network::v6([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1], 128),
];

/// IPv4 networks that are not the public internet.
const CLOSED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// A range of addresses, written `10.1.0.0/16` or `fd12::/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refusal = || format!("'{text}' is no network: write it as 10.1.0.0/16 or fd12::/16");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first = IpAddr::from_str(address.trim()).map_err(|_| refusal())?;
        let widest = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.trim().parse().map_err(|_| refusal())?,
            None => widest,
        };
        if bits > widest {
            return Err(refusal());
        }
        Ok(Self { first, bits })
    }
}

impl Network {
    const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(parts: [u16; 8], bits: u8) -> Self {
        let [one, two, three, four, five, six, seven, eight] = parts;
        Self { first: IpAddr::V6(Ipv6Addr::new(one, two, three, four, five, six, seven, eight)), bits }
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => shares_v4(first, address, self.bits),
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let rest = 128 - u32::from(self.bits);
                (first.to_bits() ^ address.to_bits()).checked_shr(rest).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn shares_v4(first: Ipv4Addr, address: Ipv4Addr, bits: u8) -> bool {
    let rest = 32 - u32::from(bits);
    (first.to_bits() ^ address.to_bits()).checked_shr(rest).unwrap_or(0) == 0
}

/// Judges an endpoint as it is written. Names are judged again when they are resolved.
///
/// The refusal is a sentence for the client.
pub fn endpoint(text: &str, settings: &Settings) -> Result<Url, String> {
    if text.len() > ENDPOINT_MAX {
        return Err(format!("an endpoint has at most {ENDPOINT_MAX} characters"));
    }
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(String::from("an endpoint holds no blanks and no control characters"));
    }
    let url = Url::parse(text).map_err(|fault| format!("the endpoint is no absolute URL: {fault}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(String::from("an endpoint holds no user name and no password; send them in channel.header"));
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(String::from("the endpoint names no host"));
    };
    let literal = IpAddr::from_str(host.trim_start_matches('[').trim_end_matches(']')).ok();
    let local = literal.map_or_else(|| is_localhost(host), is_loopback);
    match url.scheme() {
        "https" => {}
        "http" if settings.loopback && local => {}
        "http" => return Err(String::from("an endpoint is called over https only")),
        scheme => return Err(format!("an endpoint is an https URL, not '{scheme}'")),
    }
    match literal {
        Some(address) => address_may_be_called(address, settings)?,
        None if is_localhost(host) && !settings.loopback => return Err(closed()),
        None => {}
    }
    Ok(url)
}

/// Judges one address.
pub fn address_may_be_called(address: IpAddr, settings: &Settings) -> Result<(), String> {
    let address = plain(address);
    if METADATA.iter().any(|network| network.holds(address)) {
        return Err(closed());
    }
    let open = !is_closed(address)
        || (settings.loopback && is_loopback(address))
        || settings.allow.iter().any(|network| network.holds(address));
    if open { Ok(()) } else { Err(closed()) }
}

fn closed() -> String {
    String::from("the endpoint leads to an address that is not on the public internet and is not allowed by [speak] allow")
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn is_loopback(address: IpAddr) -> bool {
    plain(address).is_loopback()
}

/// The IPv4 address that an IPv6 address only wraps (mapped, compatible, NAT64, 6to4), so that it is judged as what it is.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    let parts = six.segments();
    let wrapped = match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => (high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => (high, low),
        _ => return address,
    };
    IpAddr::V4(Ipv4Addr::from_bits((u32::from(wrapped.0) << 16) | u32::from(wrapped.1)))
}

/// Expects an address that wraps no other.
fn is_closed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => CLOSED_V4.iter().any(|(first, bits)| shares_v4(*first, four, *bits)),
        IpAddr::V6(six) => {
            // Of IPv6 only 2000::/3 is given to the public; inside it Teredo, ORCHID and the examples of books are not.
            let parts = six.segments();
            let public = parts[0] & 0xe000 == 0x2000;
            let special = parts[0] == 0x2001 && (parts[1] < 0x0200 || parts[1] == 0x0db8);
            let example = parts[0] == 0x3fff && parts[1] < 0x1000;
            !public || special || example
        }
    }
}

/// A name that was refused when it was resolved; a type of its own so that it is found among the causes of a failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Closed(String);

/// Resolves names for the client that calls out, and refuses a name of which any address may not be called.
pub(super) struct Resolver {
    settings: Arc<Settings>,
}

impl Resolver {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let judged = judge(name.as_str(), found, &settings)?;
            Ok(Box::new(judged.into_iter()) as Addrs)
        })
    }
}

fn judge(name: &str, found: Vec<SocketAddr>, settings: &Settings) -> Result<Vec<SocketAddr>, Closed> {
    for address in &found {
        address_may_be_called(address.ip(), settings).map_err(Closed)?;
        // Without TLS only this machine may be called, so its name must not lead elsewhere.
        if is_localhost(name) && !is_loopback(address.ip()) {
            return Err(Closed(closed()));
        }
    }
    if found.is_empty() { Err(Closed(String::from("the endpoint's name has no address"))) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(loopback: bool, allow: &[&str]) -> Settings {
        let allow = allow.iter().map(|network| network.parse().unwrap()).collect();
        Settings { allow, loopback, ..Settings::default() }
    }

    #[test]
    fn only_public_https_endpoints_are_called() {
        let settings = Settings::default();
        for text in ["https://example.org/hook", "https://93.184.216.34/hook?x=1", "https://[2606:2800:220:1::1]:8443/"] {
            assert!(endpoint(text, &settings).is_ok(), "{text}");
        }
        for text in [
            "http://example.org/hook",
            "ftp://example.org/",
            "file:///etc/passwd",
            "mailto:a@example.org",
            "/hook",
            "example.org/hook",
            "https://user@example.org/",
            "https://user:word@example.org/",
            "https://example.org/a b",
            "https://example.org/\r\nHost: other",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://0.0.0.0/",
            "https://10.1.2.3/",
            "https://172.16.0.1/",
            "https://172.31.255.255/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://169.254.1.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::]/",
            "https://[::1]/",
            "https://[fe80::1]/",
            "https://[fc00::1]/",
            "https://[fd00:ec2::254]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[64:ff9b:1::1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001:0:4136:e378::1]/",
            "https://[2001:db8::1]/",
            "https://[ff02::1]/",
        ] {
            assert!(endpoint(text, &settings).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_opens_this_machine_and_nothing_else() {
        let settings = with(true, &[]);
        for text in ["http://127.0.0.1:9000/hook", "http://[::1]/", "http://localhost:9/", "https://localhost/"] {
            assert!(endpoint(text, &settings).is_ok(), "{text}");
        }
        for text in ["http://example.org/", "http://10.0.0.1/", "https://10.0.0.1/", "http://169.254.169.254/"] {
            assert!(endpoint(text, &settings).is_err(), "{text}");
        }
    }

    #[test]
    fn allowed_networks_are_opened_but_never_the_metadata() {
        let settings = with(false, &["10.1.0.0/16", "169.254.0.0/16", "fd00::/8", "0.0.0.0/0", "::/0"]);
        assert!(endpoint("https://10.1.2.3/hook", &settings).is_ok());
        assert!(endpoint("https://[fd12::1]/hook", &settings).is_ok());
        assert!(endpoint("http://10.1.2.3/hook", &settings).is_err());
        for text in [
            "https://169.254.169.254/",
            "https://[fd00:ec2::254]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://169.254.170.23/",
            "https://169.254.42.42/",
            "https://100.100.100.200/",
            "https://[fe80::a9fe:a9fe]/",
            "https://[fd00:ec2::23]/",
            "https://[fd20:ce::254]/",
            "https://[fd00:c1::a9fe:a9fe]/",
            "https://[fd00:42::42]/",
            "https://[fd00:a9fe:a9fe::1]/",
        ] {
            assert!(endpoint(text, &settings).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_refused_when_any_of_its_addresses_is() {
        let public: SocketAddr = "93.184.216.34:0".parse().unwrap();
        let private: SocketAddr = "10.0.0.1:0".parse().unwrap();
        let own: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = with(true, &[]);
        assert_eq!(judge("example.org", vec![public], &settings), Ok(vec![public]));
        assert!(judge("example.org", vec![public, private], &settings).is_err());
        assert!(judge("example.org", vec![], &settings).is_err());
        assert!(judge("localhost", vec![own], &settings).is_ok());
        assert!(judge("localhost", vec![public], &settings).is_err());
        assert!(judge("example.org", vec![own], &Settings::default()).is_err());
    }

    #[test]
    fn networks_are_read_and_compared() {
        for (network, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("fd12::/16", "fd12:1::1", "fd13::1"),
            ("::/0", "fd13::1", "10.0.0.1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.holds(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.holds(outside.parse().unwrap()), "{network:?} {outside}");
        }
        for text in ["", "10.1.0.0/33", "10.1.0/16", "fd12::/129", "example.org", "10.1.0.0/x"] {
            assert!(Network::from_str(text).is_err(), "{text}");
        }
    }
}
