//! The function that a line of llama.cpp's server names, which tells whether it can hold a fact.

/// Where the function's name begins in `slot print_timing: id …` and `srv  update_slots: …`;
/// it is padded on its left.
pub(super) const FUNCTION_AT: usize = 5;
const FUNCTION_BYTES: usize = 12;
/// Where the text begins behind the function's name and its colon.
pub(super) const TEXT_AT: usize = FUNCTION_AT + FUNCTION_BYTES + 2;

const CANCEL_TASKS: u128 = number(b"cancel_tasks");
const GET_AVAILABLE: u128 = number(b"get_availabl");
const INIT: u128 = number(b"        init");
const LAUNCH_SLOT: u128 = number(b"launch_slot_");
const LLAMA_SERVER: u128 = number(b"llama_server");
const LOAD_MODEL: u128 = number(b"  load_model");
const MAIN: u128 = number(b"        main");
const OPERATOR: u128 = number(b"  operator()");
const PRINT_TIMING: u128 = number(b"print_timing");
const RELEASE: u128 = number(b"     release");
const SEND_ERROR: u128 = number(b"  send_error");
const SERVER_STREAM: u128 = number(b"server_strea");
const STOP: u128 = number(b"        stop");
const UPDATE: u128 = number(b"      update");
const UPDATE_SLOTS: u128 = number(b"update_slots");

/// A name as a number: to compare names byte by byte took a tenth of the instructions of a log
/// that tells of each token.
const fn number(name: &[u8; FUNCTION_BYTES]) -> u128 {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *name;
    let (first, last) = (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes([i, j, k, l]));
    (last as u128) << u64::BITS | first as u128
}

/// Whether a text can begin a line with a fact, by its first bytes. Those that cannot are
/// most of the lines at a high verbosity.
#[inline(always)]
pub(crate) fn may_hold_fact(text: &[u8]) -> bool {
    let function = || text.get(FUNCTION_AT..).and_then(|text| text.first_chunk()).map(number);
    match text.first_chunk::<4>() {
        Some(b"slot") => matches!(
            function(),
            Some(
                PRINT_TIMING
                    | RELEASE
                    | LAUNCH_SLOT
                    | GET_AVAILABLE
                    | OPERATOR
                    | UPDATE_SLOTS
                    | LOAD_MODEL
                    | INIT
            )
        ),
        Some(b"srv ") => matches!(
            function(),
            Some(
                INIT | LOAD_MODEL
                    | LLAMA_SERVER
                    | MAIN
                    | UPDATE
                    | SERVER_STREAM
                    | STOP
                    | CANCEL_TASKS
                    | SEND_ERROR
                    | UPDATE_SLOTS
            )
        ),
        Some(b"main" | b"prom" | b"    ") => true,
        _ => false,
    }
}
