//! The printable alphabet in which byte-level BPE writes bytes: printable Latin-1 stands for itself, the
//! other 68 bytes take the code points from U+0100 on in order (a blank becomes `Ġ`, a newline `Ċ`).

/// The character that stands for each byte.
pub(crate) fn alphabet() -> [char; 256] {
    let mut of_byte = ['\0'; 256];
    let mut next = 0x100;
    for byte in 0..=255u8 {
        let printable = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        of_byte[byte as usize] = if printable {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(next - 1).unwrap_or('\0')
        };
    }
    of_byte
}

/// The bytes that a token's printable form stands for; `None` if a character is outside the alphabet.
pub(crate) fn from_printable(token: &str) -> Option<Vec<u8>> {
    let alphabet = alphabet();
    token.chars().map(|c| alphabet.iter().position(|&a| a == c).map(|byte| byte as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_the_known_one() {
        let alphabet = alphabet();
        assert_eq!(alphabet[b' ' as usize], 'Ġ');
        assert_eq!(alphabet[b'\n' as usize], 'Ċ');
        assert_eq!(alphabet[b'a' as usize], 'a');
        assert_eq!(alphabet[0xAD], 'Ń');
        let distinct: std::collections::BTreeSet<char> = alphabet.into_iter().collect();
        assert_eq!(distinct.len(), 256);
        assert_eq!(from_printable("Ġzoo"), Some(b" zoo".to_vec()));
        assert_eq!(from_printable("a b"), None);
    }
}
