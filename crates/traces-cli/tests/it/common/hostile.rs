//! Text that tries to steer whatever shows it, and what must not be left of it.

use super::Ran;

/// Begins every line that a hostile line break would begin.
pub(crate) const FORGED: &str = "FORGED";

/// What a terminal obeys: one attempt each, without line breaks.
pub(crate) const SEQUENCES: [&str; 30] = [
    // The clipboard, in every spelling of a start and an end.
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "\u{1b}]52;c;ZXZpbA==\u{1b}\\",
    "\u{9d}52;c;ZXZpbA==\u{9c}",
    // The window's title, the icon's, and the colours.
    "\u{1b}]0;evil\u{7}",
    "\u{1b}]1;evil\u{7}",
    "\u{1b}]2;evil\u{1b}\\",
    "\u{9d}2;evil\u{9c}",
    "\u{1b}]4;1;#000000\u{7}",
    "\u{1b}]10;?\u{7}",
    // A link that shows one thing and means another.
    "\u{1b}]8;;https://evil.example\u{7}harmless\u{1b}]8;;\u{7}",
    "\u{9d}8;;https://evil.example\u{9c}harmless\u{9d}8;;\u{9c}",
    // Files, notes and images of some terminals.
    "\u{1b}]1337;File=inline=1:ZXZpbA==\u{7}",
    "\u{1b}]9;evil\u{7}",
    "\u{1b}]777;notify;evil;evil\u{7}",
    "\u{1b}_Gf=100;ZXZpbA==\u{1b}\\",
    "\u{1b}Pq#0;2;0;0;0\u{1b}\\",
    // Colours, screens, the cursor, keys, answers typed by the terminal.
    "\u{1b}[31m",
    "\u{9b}31m",
    "\u{1b}[8m",
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}[?1049h",
    "\u{1b}[1A\u{1b}[2K",
    "\u{1b}[6n",
    "\u{1b}[c",
    "\u{1b}P$qm\u{1b}\\",
    "\u{90}$qm\u{9c}",
    "\u{1b}c",
    "\u{1b}(0",
    "\u{1b}^evil\u{1b}\\",
    "\u{9e}evil\u{9c}",
];

/// What overwrites or hides text, or turns it around.
pub(crate) const CONTROLS: [&str; 12] = [
    "a\u{8}b\u{7f}c\u{0}d",
    "\u{e}shift\u{f}",
    "over\rwritten",
    "\u{202e}reversed\u{202c}",
    "\u{202a}\u{202b}\u{202d}",
    "\u{2066}\u{2067}\u{2068}isolated\u{2069}",
    "\u{61c}\u{200e}\u{200f}",
    "\u{206a}\u{206b}\u{206c}\u{206d}\u{206e}\u{206f}",
    // Nothing to see: names that look alike and are not.
    "in\u{200b}vi\u{2060}si\u{feff}ble\u{ad}",
    "\u{fff9}base\u{fffa}above\u{fffb}",
    "\u{e0001}\u{e0065}\u{e0076}\u{e007f}",
    "\u{2061}\u{2062}\u{2063}\u{2064}\u{180e}",
];

/// What a page or a Markdown reader takes for more than text.
pub(crate) const MARKUP: [&str; 26] = [
    "<script>alert(1)</script>",
    "</script></style></title><script>alert(1)//",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "\" onmouseover=\"alert(1)\" x=\"",
    "' onfocus='alert(1)' autofocus='",
    "<!-- --><![CDATA[ ]]>",
    "<iframe src=//evil.example>",
    "<style>@import '//evil.example'</style>",
    "<meta http-equiv=refresh content=0>",
    "<base href=//evil.example>",
    "&lt;b&gt; &#60;b&#62; &amp;",
    "\u{ff1c}script\u{ff1e} \u{2039}script\u{203a}",
    "| a | b |",
    "[l](javascript:alert(1))",
    "![i](//evil.example/i.png)",
    "[r]: //evil.example",
    "**b** __b__ _e_ *e* ~~s~~",
    "`c` ``c`` ```",
    "~~~",
    "\\<b>\\",
    "<https://evil.example>",
    "https://evil.example www.evil.example",
    "$x$ [^1]",
    "# h",
];

/// Text with every attempt, but in one line, which begins with this name.
pub(crate) fn hostile_line(name: &str) -> String {
    let all = [&SEQUENCES[..], &CONTROLS, &MARKUP].concat().concat();
    // A carriage return is half a line break.
    format!("{name} {all}=cmd(),\"quoted\";'end").replace('\r', "\u{b}")
}

/// Text with every attempt, and every way to begin a line.
pub(crate) fn hostile(name: &str) -> String {
    let all: String = ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}').collect();
    let breaks = ["\n", "\r", "\r\n", "\u{85}", "\u{b}", "\u{c}", "\u{2028}", "\u{2029}"]
        .map(|end| format!("{end}{FORGED}"));
    format!("{} {all}{}\n```\n~~~\n{}\t", hostile_line(name), breaks.concat(), MARKUP.join("\n"))
}

/// Whether a reader obeys this character, or does not see it.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Fails if text for people holds what steers a reader. Line breaks and tabs of a
/// prompt may stand only where its text was asked for.
#[track_caller]
pub(crate) fn is_safe(line: &str, text: &str, is_prompt: bool) {
    let found: Vec<char> = text.chars().filter(|&c| steers(c) && !matches!(c, '\n' | '\t')).collect();
    if let Some(first) = found.first() {
        panic!("{line} prints {first:?} and {} more in:\n{}", found.len() - 1, short(text));
    }
    if !is_prompt {
        let forged: Vec<&str> = text.lines().filter(|row| row.starts_with(FORGED)).collect();
        assert!(forged.is_empty(), "{line} prints a forged line:\n{}", short(text));
        assert!(!text.contains('\t'), "{line} prints a tab:\n{}", short(text));
    }
}

/// The beginning of each line.
fn short(text: &str) -> String {
    text.lines().map(|row| format!("{}\n", row.chars().take(100).collect::<String>())).collect()
}

/// Fails if what was printed in this format is not safe to show and to read back.
#[track_caller]
pub(crate) fn is_safe_as(format: &str, line: &str, ran: &Ran) {
    assert!(!ran.stderr.contains("panicked"), "{line}: {}", ran.stderr);
    is_safe(line, &ran.stderr, false);
    match format {
        "json" | "ndjson" | "chrome" | "otlp" => {
            let found: Vec<char> = ran.stdout.chars().filter(|&c| c.is_control() && c != '\n').collect();
            assert!(found.is_empty(), "{line} prints {found:?}");
            if matches!(format, "ndjson" | "otlp") {
                ran.ndjson();
            } else if !ran.stdout.is_empty() {
                ran.json();
            }
        }
        "csv" => {
            let found: Vec<char> =
                ran.stdout.chars().filter(|&c| steers(c) && !matches!(c, '\n' | '\t')).collect();
            assert!(found.is_empty(), "{line} prints {found:?}");
            ran.csv();
        }
        _ => is_safe(line, &ran.stdout, line.contains("text")),
    }
}
