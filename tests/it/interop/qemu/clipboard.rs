//! QEMU's clipboard, with a VNC viewer of QEMU's own at its other end, in the place of a guest. What
//! such a viewer copies, QEMU does not pass on over D-Bus.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use flate2::read::ZlibDecoder;

use super::super::programs::{Client, PATIENCE, Sumac, needs, until};
use super::guest::start;

/// The pseudo encoding that says that a client has the extended clipboard.
const EXTENDED_CLIPBOARD: [u8; 4] = 0xc0a1_e5ce_u32.to_be_bytes();
/// Flags of its messages.
const TEXT: u32 = 1;
const CAPS: u32 = 1 << 24;
const REQUEST: u32 = 1 << 25;
const NOTIFY: u32 = 1 << 27;
const PROVIDE: u32 = 1 << 28;

/// A VNC connection that looks at nothing.
struct Vnc(UnixStream);

impl Vnc {
    fn connect(sumac: &Sumac) -> Self {
        let path = sumac.dir().join("vnc.sock");
        until("QEMU's VNC", || UnixStream::connect(&path).is_ok());
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut vnc = Self(stream);
        assert_eq!(vnc.read(12), b"RFB 003.008\n");
        vnc.0.write_all(b"RFB 003.008\n").unwrap();
        // One kind of security, none; then the server's answer and its description.
        assert_eq!(vnc.read(2), [1, 1]);
        vnc.0.write_all(&[1]).unwrap();
        assert_eq!(vnc.read(4), [0; 4]);
        vnc.0.write_all(&[1]).unwrap();
        let name = vnc.read(24)[20..].try_into().map(u32::from_be_bytes).unwrap();
        vnc.read(name as usize);
        vnc.0.write_all(&[&[2, 0, 0, 1][..], &EXTENDED_CLIPBOARD].concat()).unwrap();
        vnc
    }

    /// What was copied elsewhere: asked for as soon as it is there.
    fn copied(&mut self) -> String {
        loop {
            assert_eq!(self.read(4)[0], 3, "a message that is no ServerCutText");
            // Extended messages have negative lengths.
            let len = i32::from_be_bytes(self.read(4).try_into().unwrap());
            let message = self.read(len.unsigned_abs() as usize);
            assert!(len < 0, "a plain message");
            let flags = u32::from_be_bytes(message[..4].try_into().unwrap());
            if flags & CAPS != 0 {
                continue;
            }
            if flags & (NOTIFY | TEXT) == NOTIFY | TEXT {
                let request = (REQUEST | TEXT).to_be_bytes();
                self.0.write_all(&[&[6, 0, 0, 0][..], &(-4_i32).to_be_bytes(), &request].concat()).unwrap();
            }
            if flags & (PROVIDE | TEXT) == PROVIDE | TEXT {
                // Compressed, without an end: a length and the text, which may end in a zero.
                let mut plain = ZlibDecoder::new(&message[4..]);
                let mut len = [0; 4];
                plain.read_exact(&mut len).unwrap();
                let mut text = vec![0; u32::from_be_bytes(len) as usize];
                plain.read_exact(&mut text).unwrap();
                return String::from_utf8(text).unwrap().trim_end_matches('\0').to_owned();
            }
        }
    }

    fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn what_a_viewer_copies_is_qemus() {
    needs!("what_a_viewer_copies_is_qemus": "gi", "qemu-system-x86_64", "as", "ld");
    let (sumac, _monitor) = start(&[], "std", &["-vnc", "unix:vnc.sock"]);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.event("\"agent\", \"connected\": true");
    let mut vnc = Vnc::connect(&sumac);
    for text in ["a", "From-the-viewer.", &"x".repeat(5000)] {
        client.does(&format!("copy {text}"));
        assert_eq!(vnc.copied(), text);
    }
}

/// The guest's agent has text, and gives it when it is asked.
#[test]
fn what_the_guest_copies_is_the_viewers() {
    needs!("what_the_guest_copies_is_the_viewers": "gi", "qemu-system-x86_64", "as", "ld");
    let agent = ["-chardev", "qemu-vdagent,id=agent,clipboard=on", "-serial", "null", "-serial", "chardev:agent"];
    let (sumac, _monitor) = start(&[], "std", &agent);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.event("\"agent\", \"connected\": true");
    client.does("key press 0x43");
    client.event("\"clipboard-grab\"");
    client.does("paste");
    client.does("key press 0x44");
    client.event("\"clipboard\", \"text\": \"From-the-guest.\"");
}
