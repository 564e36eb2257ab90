//! The connection: who may be connected to, how long it may be silent, when the
//! request was sent, and that it can be stopped at any moment.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::error::Failure;
use crate::watch::Watch;

/// How often a wait is interrupted to see whether it must end.
const TICK: Duration = Duration::from_millis(50);

/// What both ends of a connection share: the transport inside of ureq, and we.
pub(crate) struct Line {
    watch: Arc<Watch>,
    allow_remote: bool,
    connect_timeout: Duration,
    silence: Duration,
    state: Mutex<State>,
}

struct State {
    /// When the last byte of the request was given to the system.
    sent: Option<Instant>,
    /// When the silence becomes too long.
    deadline: Instant,
    /// Why the connection could not be made, or was ended by us.
    failure: Option<Failure>,
}

impl Line {
    pub(crate) fn new(
        watch: Arc<Watch>,
        allow_remote: bool,
        connect_timeout: Duration,
        silence: Duration,
    ) -> Arc<Self> {
        let state = State { sent: None, deadline: later(silence), failure: None };
        Arc::new(Self { watch, allow_remote, connect_timeout, silence, state: Mutex::new(state) })
    }

    /// When the request was sent.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.with(|state| state.sent)
    }

    /// Something was said: the silence begins anew.
    pub(crate) fn heard(&self) {
        self.with(|state| state.deadline = later(self.silence));
    }

    /// Why we ended it, where we did.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.with(|state| state.failure.take())
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the connection for a reason that ureq need not know.
    fn fail(&self, failure: Failure) -> ureq::Error {
        let text = failure.to_string();
        self.with(|state| state.failure = Some(failure));
        ureq::Error::Io(io::Error::other(text))
    }

    /// Whether the wait may go on.
    fn check(&self) -> Result<(), ureq::Error> {
        if self.watch.is_stopped() {
            return Err(self.fail(Failure::Interrupted));
        }
        if Instant::now() >= self.with(|state| state.deadline) {
            return Err(self.fail(Failure::Silent(self.silence)));
        }
        Ok(())
    }

    fn connect(&self, host: &str, url: String, addresses: &[SocketAddr]) -> Result<TcpStream, ureq::Error> {
        let remote = addresses.iter().find(|address| !is_loopback(address.ip()));
        if let Some(address) = remote.filter(|_| !self.allow_remote) {
            let (host, address) = (host.to_owned(), address.ip().to_string());
            return Err(self.fail(Failure::NotLoopback { host, address }));
        }
        let mut reason = "its name means no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(address, self.connect_timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    reason = format!("nobody answered within {} s", self.connect_timeout.as_secs_f64());
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(self.fail(Failure::Unreachable { url, reason }))
    }
}

/// A moment so long from now; one that the clock cannot hold is a century away.
fn later(duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let now = Instant::now();
    now.checked_add(duration.min(CENTURY)).unwrap_or(now)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

/// Makes connections that belong to one [`Line`].
#[derive(Debug)]
pub(crate) struct LineConnector(pub(crate) Arc<Line>);

impl Connector for LineConnector {
    type Out = LineTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<LineTransport>, ureq::Error> {
        let host = details.uri.host().unwrap_or_default();
        let url = format!("http://{}", details.uri.authority().map_or(host, |authority| authority.as_str()));
        let addresses: Vec<SocketAddr> = details.addrs.iter().copied().collect();
        let stream = self.0.connect(host, url, &addresses)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(LineTransport { stream, buffers, line: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
pub(crate) struct LineTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
    line: Arc<Line>,
}

/// Whether the system only says that nothing happened within a tick.
fn is_tick(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

impl Transport for LineTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let mut rest = self.buffers.output().get(..amount).unwrap_or_default();
        while !rest.is_empty() {
            self.line.check()?;
            match (&self.stream).write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => {
                    self.line.heard();
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) if is_tick(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let now = Instant::now();
        self.line.with(|state| state.sent = Some(now));
        self.line.watch.sent(now);
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        loop {
            self.line.check()?;
            match (&self.stream).read(self.buffers.input_append_buf()) {
                Ok(read) => {
                    self.buffers.input_appended(read);
                    return Ok(read > 0);
                }
                Err(error) if is_tick(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // Every run has a connection of its own.
        false
    }
}
