//! Numbers as bytes: LEB128, negative ones zigzag.

use super::batch::Malformed;

pub(super) fn zigzag(number: i128) -> u128 {
    ((number << 1) ^ (number >> 127)).cast_unsigned()
}

pub(super) fn unzigzag(number: u128) -> i128 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

pub(super) fn put(bytes: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn get(bytes: &mut &[u8]) -> Result<u128, Malformed> {
    let mut number = 0_u128;
    for shift in (0..126).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed::Impossible("number"))
}

pub(super) fn number(bytes: &mut &[u8], what: &'static str) -> Result<u64, Malformed> {
    u64::try_from(get(bytes)?).map_err(|_| Malformed::Impossible(what))
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed::Short)?;
    *bytes = rest;
    Ok(taken)
}
