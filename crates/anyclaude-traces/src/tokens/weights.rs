//! The fitted weights, in thousandths of a token. Written by `fit/fit_tokens.py`,
//! which says what they were fitted to: do not edit the numbers by hand.

use super::{LENGTHS, RUNS, UNITS};

/// A run of each [`RunClass`](super::class::RunClass), by length: 1 to 8, 9–10, 11–12, 13–15, 16 or more; last,
/// each character beyond the sixteenth.
#[rustfmt::skip]
pub(super) const RUN_WEIGHTS: [[u32; LENGTHS]; RUNS] = [
    [ 821,  709,  868,  994, 1159, 1157, 1090, 1230, 1416, 1735, 1950, 5760,  586], // LowerAfterBlank
    [ 543,  746, 1226, 1041,  763, 1050, 1215, 1235, 1503, 1868, 2279, 2584,  153], // LowerAfterMark
    [1087, 1039, 1064, 1056, 1048, 1160, 1320, 1343, 1479, 1123, 2452, 4124,  150], // LowerBare
    [ 793,  793,  884, 1002, 1288, 1033, 1176, 1304, 1513, 2295, 1941, 5105,  201], // CapitalAfterBlank
    [1705, 1706, 1483,  581, 1030, 1400, 1381, 1549, 1846, 2186, 2939, 3964,  357], // CapitalAfterMark
    [ 792,  791, 1125, 1107, 1545, 1403, 1506, 1443, 2007, 2143, 3197, 3809, 1338], // CapitalBare
    [1623, 1625, 1320,  986,  845,  770,  817,  921,  988,  620,  736, 1103,  218], // CapitalAfterLetter
    [ 913,  966, 1172, 1362, 1631, 1271,  961, 1491, 2698, 3694, 3364, 4442, 2325], // UpperAfterBlank
    [1510, 1344, 1406, 1335, 1514, 1219, 1372, 1421, 1697, 3320, 3762, 4040,  150], // UpperElsewhere
    [ 920, 1320, 1877, 2006, 2164, 2004, 2032, 1626, 1984, 2505, 2936, 3952,  150], // AfterDigit
    [ 879,  212,  200,  200, 2132, 2300, 2591, 2893, 2487, 2847, 3255, 5605,  403], // Accented
    [ 389, 1458,  797, 1976, 1307, 1550, 2104, 2258, 2372, 2679, 3047, 3547,  150], // Cyrillic
    [ 975,  200, 1263, 2499, 2928, 3362, 4883, 4640, 5660, 5861, 6758, 7539, 2675], // Greek
    [ 488, 1148, 1299, 1494, 2240, 2423, 2878, 4019, 4551, 5721, 6119, 7110,  250], // Hebrew
    [2096, 1541, 1169, 1772, 1855, 1912, 2216, 2666, 3221, 5883, 6580, 7569,  250], // Arabic
    [ 979,  720, 1748, 1725, 3314, 3470, 4319, 5257, 5252, 7043, 7001, 7050,  150], // Indic
    [ 422,  227,  736, 1851, 2277, 2817, 3528, 4572, 4842, 4689, 5749, 6795,  411], // Thai
    [ 482, 1538, 2290, 2594, 3672, 4768, 3265, 3355, 3555, 3874, 4281, 5276,  250], // Hangul
    [1589, 2433, 2885, 3306, 3636, 4110, 5179, 5759, 7054, 8490, 10022, 11504,  559], // Han
    [ 848, 1320, 2603, 3424, 3903, 4445, 4771, 4894, 5109, 5416, 5815, 6807,  250], // HanAfterKana
    [1051, 1094, 1707, 2322, 2513, 2320, 3717, 4148, 4316, 5641, 7345, 8137,  150], // Hiragana
    [ 432, 1454, 1962, 2379, 3277, 3711, 3301, 4566, 5446, 6651, 8226, 9991,  174], // Katakana
    [1916,  903, 1848, 1933, 2644, 2813, 3642, 4563, 5492, 5581, 6425, 6872,  245], // OtherLetters
    [ 973,  992,  907,  769, 1720, 2276, 3834, 4239, 4506, 5025, 5707, 6670,  300], // JsonMarks
    [1039, 1061, 1576, 1490, 2623, 2336, 3813, 4921, 5427, 5055, 6329, 7178,  915], // Marks
];

/// One of each [`PieceClass`](super::class::PieceClass).
#[rustfmt::skip]
pub(super) const UNIT_WEIGHTS: [u32; UNITS] = [
     106, // LeadUnderscore
       0, // LeadDot
     551, // LeadSlash
     470, // LeadHyphen
       0, // LeadParenthesis
    1501, // LeadQuote
      22, // LeadApostrophe
     597, // LeadOther
     795, // AccentLatin1
     602, // AccentOther
     208, // Digit
     884, // DigitGroup
    1268, // BlankBeforeDigit
     846, // Blanks
      76, // BlanksLong
     892, // TabBeforeLetter
      43, // NewlineAfterMark
    1381, // NewlineElsewhere
       0, // BlankLine
     162, // FurtherNewline
     888, // BlanksBeforeNewline
    1268, // EscapedNewline
    3623, // EscapedCode
    1179, // Control
     740, // Typographic
    1652, // Technical
    1625, // Drawing
    1028, // Pictograph
     447, // CjkMark
    1407, // Emoji
    1562, // EmojiJoiner
     926, // OtherSymbol
      37, // RepeatedMark
      60, // RepeatedSymbol
];
