//! Values over sockets instead of D-Bus calls, and the two traps in them.
//!
//! A value of no bytes and the end of the socket both read as nothing, the end for ever. And what `bluer` takes for the longest notification
//! is five bytes too short, so that at the MTU of 23 a band's 20 bytes would not fit: they do.

use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use bluer::gatt::{CharacteristicReader, CharacteristicWriter};
use futures::Stream;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep};

use crate::wire::gatt::Handle;

/// The longest attribute value (Core 5.4 vol 3 part F 3.2.9); a write request of that length can come whatever the MTU.
const MAX_VALUE_BYTES: usize = 512;
/// More messages than a socket of this kind holds: so many empty ones in a row can only be its end.
const MAX_EMPTY_VALUES: usize = 1024;
/// Notifications of one characteristic that wait for bluetoothd.
const MAX_NOTIFICATIONS_QUEUED: usize = 256;
/// Until a full socket is tried again. It happens when bluetoothd stands still.
const FULL: Duration = Duration::from_millis(2);

/// The values that come out of a socket, in order: what a phone writes or a band notifies. Ends with the socket.
#[derive(Debug)]
pub struct Values<R> {
    reader: R,
    empty: usize,
    next: Option<Vec<u8>>,
}

impl<R: Reader> Values<R> {
    /// Reads from this socket.
    #[must_use]
    pub const fn new(reader: R) -> Self {
        Self { reader, empty: 0, next: None }
    }
}

impl<R: Reader> Stream for Values<R> {
    type Item = Vec<u8>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        loop {
            // A value that came after empty ones waits until those are delivered.
            if self.empty > 0 {
                self.empty -= 1;
                return Poll::Ready(Some(Vec::new()));
            }
            if self.next.is_some() {
                return Poll::Ready(self.next.take());
            }
            let mut bytes = [0; MAX_VALUE_BYTES + 1];
            let mut buffer = ReadBuf::new(&mut bytes);
            match self.reader.poll_value(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => match after_nothing(self.reader.as_raw_fd()) {
                    After::Nothing { empty } => self.empty = empty,
                    After::Value { empty, value } => (self.empty, self.next) = (empty, Some(value)),
                    After::End => return Poll::Ready(None),
                },
                Poll::Ready(Ok(())) => self.next = Some(buffer.filled().to_vec()),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What follows a message of no bytes, which is the first of `empty` such ones unless it was the end.
#[derive(Debug, PartialEq, Eq)]
enum After {
    Nothing { empty: usize },
    Value { empty: usize, value: Vec<u8> },
    End,
}

/// Asks the socket itself: a runtime says «nothing yet» now and then to let others have a turn, at the end of a socket as well.
fn after_nothing(socket: RawFd) -> After {
    let mut bytes = [0; MAX_VALUE_BYTES + 1];
    let mut empty = 1;
    while empty <= MAX_EMPTY_VALUES {
        match recv(socket, &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => empty += 1,
            Ok(length) => return After::Value { empty, value: bytes.get(..length).unwrap_or_default().to_vec() },
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return After::Nothing { empty },
            Err(_) => return After::End,
        }
    }
    After::End
}

/// A socket that values come out of.
pub trait Reader: AsRawFd + Unpin {
    /// The next one; no bytes at the end, too.
    fn poll_value(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
}

impl Reader for CharacteristicReader {
    fn poll_value(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_read(context, buffer)
    }
}

impl Reader for UnixDatagram {
    fn poll_value(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_recv(context, buffer)
    }
}

/// A socket that takes values.
pub trait Writer: AsRawFd {
    /// Returns once the other side has closed it.
    fn closed(&self) -> impl Future<Output = ()> + Send;
}

impl Writer for CharacteristicWriter {
    async fn closed(&self) {
        // It says nothing else, and an error ends it as well.
        let _ = Self::closed(self).await;
    }
}

impl Writer for UnixDatagram {
    async fn closed(&self) {
        let _ = self.readable().await;
    }
}

/// Notifications to bluetoothd. Ends when it is dropped or when nobody is subscribed any more.
pub(super) struct Notifications {
    values: mpsc::Sender<Vec<u8>>,
    /// Which subscription of the characteristic this is.
    pub(super) number: u64,
}

impl Notifications {
    /// Sends what is handed in; tells `closed` when the subscription has ended from the other side.
    pub(super) fn start(
        writer: impl Writer + Send + Sync + 'static,
        handle: Handle,
        number: u64,
        closed: mpsc::Sender<(Handle, u64)>,
    ) -> Self {
        let (values, queue) = mpsc::channel(MAX_NOTIFICATIONS_QUEUED);
        tokio::spawn(async move {
            if forward(&writer, queue).await {
                let _ = closed.send((handle, number)).await;
            }
        });
        Self { values, number }
    }

    /// Whether it could be taken.
    pub(super) fn notify(&self, value: Vec<u8>) -> bool {
        self.values.try_send(value).is_ok()
    }
}

/// Whether the other side has ended it.
async fn forward(writer: &impl Writer, mut queue: mpsc::Receiver<Vec<u8>>) -> bool {
    loop {
        tokio::select! {
            biased;
            () = writer.closed() => return true,
            value = queue.recv() => match value {
                Some(value) => {
                    if !send_value(writer, &value).await {
                        return true;
                    }
                }
                None => return false,
            },
        }
    }
}

/// Sends one value; whether the socket has taken it, which ends with false when the socket does.
pub async fn send_value(writer: &impl Writer, value: &[u8]) -> bool {
    loop {
        match send(writer.as_raw_fd(), value, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => return true,
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => {
                tokio::select! {
                    () = writer.closed() => return false,
                    () = sleep(FULL) => {}
                }
            }
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use tokio::time::timeout;

    use super::*;

    /// How long a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Both ends of such a socket as bluetoothd makes it.
    fn sockets() -> (UnixDatagram, UnixDatagram) {
        let flags = SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        let end = |socket| UnixDatagram::from_std(std::os::unix::net::UnixDatagram::from(socket)).unwrap();
        (end(ours), end(theirs))
    }

    /// Takes values until that number has come, which counts upwards in them.
    async fn take(theirs: &UnixDatagram, numbers: core::ops::Range<u32>) {
        for number in numbers {
            let mut bytes = [0; 4];
            timeout(PATIENCE, theirs.recv(&mut bytes)).await.unwrap().unwrap();
            assert_eq!(u32::from_be_bytes(bytes), number);
        }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn notifications_that_nobody_takes_are_bounded_and_what_was_accepted_arrives() {
        run(async {
            let (ours, theirs) = sockets();
            let (close, mut closed) = mpsc::channel(1);
            let handle = Handle(0x0042);
            let notifications = Notifications::start(ours, handle, 7, close);
            let mut accepted = 0_u32;
            let mut before = None;
            while before != Some(accepted) {
                before = Some(accepted);
                while notifications.notify(accepted.to_be_bytes().to_vec()) {
                    accepted += 1;
                    assert!(accepted < 100_000, "nothing bounds it");
                }
                // The socket takes its part, as long as it has room.
                tokio::task::yield_now().await;
            }
            let mut in_socket = 0;
            while theirs.try_recv(&mut [0; 4]).is_ok() {
                in_socket += 1;
            }
            // One of them is in nobody's hands: taken from the queue and not yet in the socket.
            assert_eq!(accepted - in_socket, u32::try_from(MAX_NOTIFICATIONS_QUEUED).unwrap() + 1);
            take(&theirs, in_socket..accepted).await;
            assert!(notifications.notify(accepted.to_be_bytes().to_vec()), "there is room again");
            take(&theirs, accepted..accepted + 1).await;
            drop(theirs);
            assert_eq!(timeout(PATIENCE, closed.recv()).await.unwrap(), Some((handle, 7)));
        });
    }

    #[test]
    fn a_value_for_a_full_socket_waits_until_there_is_room() {
        run(async {
            let (ours, theirs) = sockets();
            let mut sent = 0_u32;
            // Until it does not come back at once.
            while timeout(Duration::ZERO, send_value(&ours, &sent.to_be_bytes())).await == Ok(true) {
                sent += 1;
            }
            let next = sent.to_be_bytes();
            let (has_sent, ()) = tokio::join!(send_value(&ours, &next), take(&theirs, 0..sent + 1));
            assert!(has_sent);
            drop(theirs);
            assert!(!send_value(&ours, &[1]).await, "nobody is there");
        });
    }

    #[test]
    fn values_of_no_bytes_are_told_from_the_end() {
        let flags = SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        let write = |values: &[&[u8]]| {
            for value in values {
                send(theirs.as_raw_fd(), value, MsgFlags::MSG_DONTWAIT).unwrap();
            }
        };
        assert_eq!(after_nothing(ours.as_raw_fd()), After::Nothing { empty: 1 });
        write(&[&[], &[]]);
        assert_eq!(after_nothing(ours.as_raw_fd()), After::Nothing { empty: 3 });
        write(&[&[], &[7], &[]]);
        assert_eq!(after_nothing(ours.as_raw_fd()), After::Value { empty: 2, value: Vec::from([7]) });
        assert_eq!(after_nothing(ours.as_raw_fd()), After::Nothing { empty: 2 });
        drop(theirs);
        assert_eq!(after_nothing(ours.as_raw_fd()), After::End);
    }
}
