//! The transport under ureq: refuses addresses of other machines, bounds silence,
//! notes when the request was sent, and can be stopped at any moment.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::error::Error;
use crate::progress::ProgressHandle;

/// How often a blocking read or write wakes up to check for a timeout or a stop.
const TICK: Duration = Duration::from_millis(50);

/// What the transport inside ureq and the code around ureq share.
pub(crate) struct Connection {
    progress: Arc<ProgressHandle>,
    allow_remote: bool,
    connect_timeout: Duration,
    /// The longest silence.
    timeout: Duration,
    state: Mutex<ConnectionState>,
}

struct ConnectionState {
    /// When the last byte of the request was given to the system.
    sent: Option<Instant>,
    /// When the silence becomes too long.
    deadline: Instant,
    /// Why the connection could not be made, or was ended on this side. ureq has no
    /// error type that could carry it.
    error: Option<Error>,
}

impl Connection {
    pub(crate) fn new(
        progress: Arc<ProgressHandle>,
        allow_remote: bool,
        connect_timeout: Duration,
        timeout: Duration,
    ) -> Arc<Self> {
        let state = ConnectionState { sent: None, deadline: from_now(timeout), error: None };
        Arc::new(Self { progress, allow_remote, connect_timeout, timeout, state: Mutex::new(state) })
    }

    /// When the request was sent.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.with(|state| state.sent)
    }

    /// Starts the timeout anew.
    pub(crate) fn reset_timeout(&self) {
        self.with(|state| state.deadline = from_now(self.timeout));
    }

    /// Why the connection was ended on this side, if it was.
    pub(crate) fn take_error(&self) -> Option<Error> {
        self.with(|state| state.error.take())
    }

    fn with<T>(&self, look: impl FnOnce(&mut ConnectionState) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the error for [`take_error`](Self::take_error), and gives ureq one of its own.
    fn fail(&self, error: Error) -> ureq::Error {
        let text = error.to_string();
        self.with(|state| state.error = Some(error));
        ureq::Error::Io(io::Error::other(text))
    }

    /// Fails where the wait must end.
    fn check(&self) -> Result<(), ureq::Error> {
        if self.progress.is_stopped() {
            return Err(self.fail(Error::Interrupted));
        }
        if Instant::now() >= self.with(|state| state.deadline) {
            return Err(self.fail(Error::Timeout(self.timeout)));
        }
        Ok(())
    }

    fn connect(&self, host: &str, url: String, addresses: &[SocketAddr]) -> Result<TcpStream, ureq::Error> {
        let remote = addresses.iter().find(|address| !is_loopback(address.ip()));
        if let Some(address) = remote.filter(|_| !self.allow_remote) {
            let (host, address) = (host.to_owned(), address.ip().to_string());
            return Err(self.fail(Error::NotLoopback { host, address }));
        }
        let mut reason = "its name resolves to no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(address, self.connect_timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    reason = format!("nobody answered within {} s", self.connect_timeout.as_secs_f64());
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(self.fail(Error::Unreachable { url, reason }))
    }
}

/// The moment that is so far from now; a century at most, which every clock can hold.
fn from_now(duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let now = Instant::now();
    now.checked_add(duration.min(CENTURY)).unwrap_or(now)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Opens the TCP connection of one [`Connection`].
#[derive(Debug)]
pub(crate) struct TcpConnector(pub(crate) Arc<Connection>);

impl Connector for TcpConnector {
    type Out = TcpTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<TcpTransport>, ureq::Error> {
        let host = details.uri.host().unwrap_or_default();
        let url = format!("http://{}", details.uri.authority().map_or(host, |authority| authority.as_str()));
        let addresses: Vec<SocketAddr> = details.addrs.iter().copied().collect();
        let stream = self.0.connect(host, url, &addresses)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(TcpTransport { stream, buffers, connection: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
pub(crate) struct TcpTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
    connection: Arc<Connection>,
}

/// Whether the error only says that nothing happened within a tick.
fn is_tick(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let mut rest = self.buffers.output().get(..amount).unwrap_or_default();
        while !rest.is_empty() {
            self.connection.check()?;
            match (&self.stream).write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => {
                    self.connection.reset_timeout();
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) if is_tick(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let now = Instant::now();
        self.connection.with(|state| state.sent = Some(now));
        self.connection.progress.sent(now);
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        loop {
            self.connection.check()?;
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
