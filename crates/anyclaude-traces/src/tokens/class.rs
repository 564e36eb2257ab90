//! The class of each character: which kind of run or piece it belongs to.

/// The classes of single bytes. Bytes above 127 begin or continue a character
/// that [`letter`] and [`symbol`] look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Byte {
    Lower,
    Upper,
    Digit,
    Blank,
    Newline,
    Punctuation,
    Control,
    NonAscii,
}

/// The class of each byte. A table, because this is asked for every byte.
pub(super) const BYTES: [Byte; 256] = {
    let mut table = [Byte::NonAscii; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => Byte::Lower,
            b'A'..=b'Z' => Byte::Upper,
            b'0'..=b'9' => Byte::Digit,
            b' ' | b'\t' => Byte::Blank,
            b'\n' | b'\r' => Byte::Newline,
            b'!'..=b'~' => Byte::Punctuation,
            _ => Byte::Control,
        };
        byte += 1;
    }
    table
};

/// The end of the lower case letters from `at` on.
///
/// Looks at eight bytes at once: a loop over bytes mispredicts a branch at the end of nearly
/// every word.
pub(super) fn lower_end(bytes: &[u8], mut at: usize) -> usize {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let rest = bytes.get(at..).unwrap_or_default();
    for eight in rest.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*eight);
        let low_bits = word & !HIGH;
        let from_a = low_bits + ONES * u64::from(0x80 - b'a');
        let beyond_z = low_bits + ONES * u64::from(0x7f - b'z');
        let others = (!from_a | beyond_z | word) & HIGH;
        if others != 0 {
            return at + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let tail = rest.as_chunks::<8>().1;
    at + tail.iter().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(tail.len())
}

/// Runs of letters or marks: each kind is a row of weights, by length. A mark is
/// an ASCII punctuation character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunClass {
    LowerAfterBlank,
    LowerAfterMark,
    LowerBare,
    CapitalAfterBlank,
    CapitalAfterMark,
    CapitalBare,
    CapitalAfterLetter,
    UpperAfterBlank,
    UpperElsewhere,
    AfterDigit,
    Accented,
    Cyrillic,
    Greek,
    Hebrew,
    Arabic,
    Indic,
    Thai,
    Hangul,
    Han,
    HanAfterKana,
    Hiragana,
    Katakana,
    OtherLetters,
    JsonMarks,
    Marks,
}

/// Pieces that are counted one by one, not by the length of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceClass {
    LeadUnderscore,
    LeadDot,
    LeadSlash,
    LeadHyphen,
    LeadParenthesis,
    LeadQuote,
    LeadApostrophe,
    LeadOther,
    AccentLatin1,
    AccentOther,
    Digit,
    DigitGroup,
    BlankBeforeDigit,
    Blanks,
    BlanksLong,
    TabBeforeLetter,
    NewlineAfterMark,
    NewlineElsewhere,
    BlankLine,
    FurtherNewline,
    BlanksBeforeNewline,
    EscapedNewline,
    EscapedCode,
    Control,
    Typographic,
    Technical,
    Drawing,
    Pictograph,
    CjkMark,
    Emoji,
    EmojiJoiner,
    OtherSymbol,
    RepeatedMark,
    RepeatedSymbol,
}

/// The kind of a mark directly before a word: the two are often one token.
pub(super) fn lead(mark: u8) -> PieceClass {
    match mark {
        b'_' => PieceClass::LeadUnderscore,
        b'.' => PieceClass::LeadDot,
        b'/' => PieceClass::LeadSlash,
        b'-' => PieceClass::LeadHyphen,
        b'(' => PieceClass::LeadParenthesis,
        b'"' => PieceClass::LeadQuote,
        b'\'' => PieceClass::LeadApostrophe,
        _ => PieceClass::LeadOther,
    }
}

/// The script of a letter outside ASCII, as the row of its runs.
///
/// Latin letters with accents are [`RunClass::Accented`]: they stand in words with
/// ASCII letters.
pub(super) fn letter(c: char) -> Option<RunClass> {
    if matches!(c, '\u{4e00}'..='\u{9fff}') {
        // Tested first: nearly every character of a Chinese text is one.
        return Some(RunClass::Han);
    }
    let run = match c {
        'ª' | 'µ' | 'º' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='\u{36f}' | 'Ḁ'..='ỿ' => {
            RunClass::Accented
        }
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => RunClass::Greek,
        '\u{400}'..='\u{52f}' => RunClass::Cyrillic,
        '\u{590}'..='\u{5ff}' => RunClass::Hebrew,
        '\u{600}'..='\u{60b}' | '\u{60d}'..='\u{61a}' | '\u{61c}'..='\u{61e}' | '\u{620}'..='\u{6d3}' => {
            RunClass::Arabic
        }
        '\u{6d5}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' => RunClass::Arabic,
        '\u{900}'..='\u{dff}' => RunClass::Indic,
        '\u{e00}'..='\u{eff}' => RunClass::Thai,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}' => RunClass::Hangul,
        '\u{3041}'..='\u{309f}' => RunClass::Hiragana,
        '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{ff66}'..='\u{ff9f}' => RunClass::Katakana,
        '々' | '〆' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' => RunClass::Han,
        '\u{20000}'..='\u{3ffff}' => RunClass::Han,
        other if other.is_alphabetic() => RunClass::OtherLetters,
        _ => return None,
    };
    Some(run)
}

/// The kind of a character outside ASCII that is no letter.
pub(super) fn symbol(c: char) -> PieceClass {
    match c {
        '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => PieceClass::EmojiJoiner,
        '\u{a0}'..='\u{ff}' | '\u{2000}'..='\u{206f}' => PieceClass::Typographic,
        '\u{2070}'..='\u{24ff}' => PieceClass::Technical,
        '\u{2500}'..='\u{25ff}' => PieceClass::Drawing,
        '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' => PieceClass::Pictograph,
        '\u{3000}'..='\u{303f}' | '・' | '\u{ff00}'..='\u{ffef}' => PieceClass::CjkMark,
        '\u{1f000}'..='\u{1faff}' => PieceClass::Emoji,
        '\u{80}'..='\u{9f}' => PieceClass::Control,
        _ => PieceClass::OtherSymbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_letters_end_where_a_loop_says_so() {
        for length in 0..20 {
            for next in 0..=255 {
                let mut bytes = b"A".to_vec();
                bytes.extend(b"azbycxmnopqrstuvwxyz".iter().cycle().take(length));
                bytes.extend([next, b'a', b'b']);
                let naive = bytes[1..].iter().position(|byte| !byte.is_ascii_lowercase());
                assert_eq!(lower_end(&bytes, 1), naive.map_or(bytes.len(), |end| end + 1), "{length} {next}");
            }
        }
        assert_eq!(lower_end(b"ab", 7), 7);
    }

    #[test]
    fn every_character_has_one_kind() {
        // `letter` is never called with ASCII; any other alphabetic character has a script.
        for c in ('\u{80}'..=char::MAX).filter(|c| c.is_alphabetic()) {
            assert!(letter(c).is_some(), "{c:?}");
        }
        for (c, script) in [
            ('é', RunClass::Accented),
            ('ж', RunClass::Cyrillic),
            ('中', RunClass::Han),
            ('の', RunClass::Hiragana),
            ('한', RunClass::Hangul),
        ] {
            assert_eq!(letter(c), Some(script));
        }
        assert_eq!([letter('。'), letter('😀'), letter('\u{fffd}')], [None; 3]);
        assert_eq!(
            [symbol('。'), symbol('😀'), symbol('→')],
            [PieceClass::CjkMark, PieceClass::Emoji, PieceClass::Technical]
        );
    }
}
