//! Ranges of IPv4 addresses (RFC 4632): the pool of a lab in containers and what its networks get of it.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest prefix of a pool, and of a group's subnet: 16 addresses.
pub const SMALLEST: u8 = 28;

/// The shortest prefix of a pool.
const WIDEST: u8 = 8;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The range of `prefix` that holds `address`.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self { base: u32::from(address) & mask, prefix }
    }

    /// What labs use unless told otherwise.
    pub fn default_pool() -> Self {
        Self::new(Ipv4Addr::new(10, 77, 0, 0), 16)
    }

    /// How many leading bits its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The first address, as a number.
    pub fn first(self) -> u32 {
        self.base
    }

    /// The last address, as a number.
    pub fn last(self) -> u32 {
        self.base + (u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0))
    }

    /// Whether the two have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.base <= other.last() && other.base <= self.last()
    }

    /// Whether the address is one of its own.
    pub fn holds(self, address: Ipv4Addr) -> bool {
        (self.base..=self.last()).contains(&u32::from(address))
    }

    /// The address number `offset`.
    pub fn address(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base + offset)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Subnet {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').ok_or("a subnet is written as `10.77.0.0/16`")?;
        let address: Ipv4Addr = address.parse().map_err(|_| format!("`{address}` is no IPv4 address"))?;
        let prefix = prefix.parse().ok().filter(|prefix| (0..=32).contains(prefix));
        let prefix: u8 = prefix.ok_or("a prefix is a number from 0 to 32")?;
        Ok(Self::new(address, prefix))
    }
}

/// Reads a pool: a subnet with room for at least one group.
pub fn pool(text: &str) -> Result<Subnet, String> {
    let pool: Subnet = text.parse()?;
    if !(WIDEST..=SMALLEST).contains(&pool.prefix) {
        return Err(format!("a pool has a prefix from {WIDEST} to {SMALLEST}"));
    }
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_have_limits() {
        let subnet = |text: &str| text.parse::<Subnet>();
        assert!(pool("10.0.0.0/8").is_ok() && pool("10.0.0.0/28").is_ok());
        assert!(pool("0.0.0.0/7").is_err() && pool("10.0.0.0/29").is_err());
        assert!(subnet("10.0.0.0/33").is_err() && subnet("10.0.0.0").is_err());
        assert!(subnet("0.0.0.0/0").unwrap().overlaps(subnet("255.255.255.255/32").unwrap()));
    }
}
