//! The reader's side of the virtual reader (vpcd), for a `band` that lies in it: no pcscd is needed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// For anything that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The slot of a reader that waits for its card.
pub struct Slot(TcpListener);

impl Slot {
    pub fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    /// The options by which a `band` finds it.
    pub fn options(&self) -> [String; 5] {
        let port = self.0.local_addr().expect("an address").port().to_string();
        ["--vpcd".into(), "--reader-host".into(), "127.0.0.1".into(), "--reader-port".into(), port]
    }

    /// What the band says on its standard error, once it has ended.
    pub fn log_of(&self, band: &mut Child) -> Receiver<String> {
        let mut stderr = band.stderr.take().expect("a pipe");
        let address = self.0.local_addr().expect("an address");
        let (collected, log) = channel();
        std::thread::spawn(move || {
            let mut log = String::new();
            let _ = stderr.read_to_string(&mut log);
            // A band that never comes to the reader does not let it wait for ever.
            let _ = TcpStream::connect(address);
            let _ = collected.send(log);
        });
        log
    }

    /// Waits for the card, gives it power and asks for its answer to reset.
    pub fn accept(&self) -> Reader {
        let (stream, _) = self.0.accept().expect("the band comes to the reader");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let mut reader = Reader(stream);
        for control in [0x01, 0x02] {
            reader.send(&[control]);
        }
        // The answer to reset.
        reader.answer(&[0x04]);
        reader
    }
}

/// A length of two bytes before each message, controls of one byte.
pub struct Reader(TcpStream);

impl Reader {
    pub fn send(&mut self, message: &[u8]) {
        let length = u16::try_from(message.len()).expect("a short message").to_be_bytes();
        self.0.write_all(&[&length, message].concat()).expect("the band reads");
    }

    pub fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(message);
        let mut length = [0; 2];
        self.0.read_exact(&mut length).expect("the band answers");
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        self.0.read_exact(&mut answer).expect("a whole answer");
        answer
    }
}
