//! The attribute table as objects on the bus, which bluetoothd reads and calls.
//!
//! `bluer` has such an application too, and tells bluetoothd of its objects in the order of a hash table: the handles are others each
//! time, and a phone whose bluetoothd 5.66 knows a service of the same name at the same handles takes what it knows for what is there.
//! Here they come in the order of the profile, so that the same service at the same handles is the same throughout.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::collections::HashMap;
use std::fs::File;
use std::io;

use bluer::Address;
use bluer::gatt::local::ReqError;
use dbus::arg::{Append, AppendAll, Arg, Dict, PropMap, ReadAll, RefArg, Variant, prop_cast};
use dbus::channel::{MatchingReceiver, Sender};
use dbus::message::MatchRule;
use dbus::nonblock::{Proxy, SyncConnection};
use dbus::{Message, MethodErr, Path};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::world::{BLUEZ, BluezError};
use crate::wire::gatt::{Handle, Uuid};

/// Where the objects are.
const ROOT: &str = "/bandrig";
const MANAGER: &str = "org.bluez.GattManager1";
const SERVICE: &str = "org.bluez.GattService1";
const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
const DESCRIPTOR: &str = "org.bluez.GattDescriptor1";
/// What bluetoothd says when it cannot make a table of the objects.
const FAILED: &str = "org.bluez.Error.Failed";
/// bluetoothd reads the whole table before it answers; under a busy emulator that takes seconds.
const REGISTERED_WITHIN: Duration = Duration::from_secs(60);

/// An object, as bluetoothd is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    path: Path<'static>,
    parent: Path<'static>,
    uuid: Uuid,
    /// The handle that bluetoothd is asked for.
    wished: Option<Handle>,
    kind: Kind,
}

/// What it is. Handles are the profile's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Service,
    Characteristic { handle: Handle, flags: Vec<&'static str>, written_by_socket: bool, notifies: bool },
    Descriptor { handle: Handle },
}

/// A service of the table.
pub(super) struct Service {
    pub(super) uuid: Uuid,
    pub(super) handle: Handle,
    /// Whether bluetoothd is asked for this handle and for those in it.
    pub(super) keeps_handles: bool,
    pub(super) characteristics: Vec<Characteristic>,
}

/// A characteristic of the table.
pub(super) struct Characteristic {
    pub(super) uuid: Uuid,
    pub(super) handle: Handle,
    /// Its properties, as bluetoothd calls them.
    pub(super) flags: Vec<&'static str>,
    /// Whether bluetoothd writes to it over a socket.
    pub(super) written_by_socket: bool,
    /// Whether it notifies, which it does over a socket.
    pub(super) notifies: bool,
    pub(super) descriptors: Vec<(Uuid, Handle)>,
}

/// The objects of a table, parents first.
pub(super) fn objects(services: impl IntoIterator<Item = Service>) -> Vec<Object> {
    let root = Path::from(ROOT);
    let mut objects = Vec::new();
    for (number, Service { uuid, handle, keeps_handles, characteristics }) in services.into_iter().enumerate() {
        let wished = |handle| keeps_handles.then_some(handle);
        let service = under(&root, "service", number);
        let (path, parent) = (service.clone(), root.clone());
        objects.push(Object { path, parent, uuid, wished: wished(handle), kind: Kind::Service });
        for (number, found) in characteristics.into_iter().enumerate() {
            let characteristic = under(&service, "char", number);
            let Characteristic { uuid, handle, flags, written_by_socket, notifies, descriptors } = found;
            let kind = Kind::Characteristic { handle, flags, written_by_socket, notifies };
            let (path, parent) = (characteristic.clone(), service.clone());
            objects.push(Object { path, parent, uuid, wished: wished(handle), kind });
            for (number, (uuid, handle)) in descriptors.into_iter().enumerate() {
                let (path, parent) = (under(&characteristic, "desc", number), characteristic.clone());
                objects.push(Object { path, parent, uuid, wished: wished(handle), kind: Kind::Descriptor { handle } });
            }
        }
    }
    objects
}

fn under(parent: &Path<'static>, kind: &str, number: usize) -> Path<'static> {
    Path::from(format!("{parent}/{kind}{number:02}"))
}

impl Object {
    /// Its UUID and the handle it is asked for, 0 for any, if it is a service.
    #[cfg(test)]
    pub(super) fn asks_as_service(&self) -> Option<(Uuid, u16)> {
        (self.kind == Kind::Service).then(|| (self.uuid, self.wished.map_or(0, |handle| handle.0)))
    }

    fn interface(&self) -> &'static str {
        match self.kind {
            Kind::Service => SERVICE,
            Kind::Characteristic { .. } => CHARACTERISTIC,
            Kind::Descriptor { .. } => DESCRIPTOR,
        }
    }

    fn properties(&self) -> PropMap {
        let mut properties = PropMap::new();
        let mut has = |name: &str, value: Box<dyn RefArg>| drop(properties.insert(name.to_owned(), Variant(value)));
        let owned = |flags: &[&str]| flags.iter().map(ToString::to_string).collect::<Vec<String>>();
        has("UUID", Box::new(bluer::Uuid::from_bytes(self.uuid.bytes()).to_string()));
        // Of a characteristic it is the value's. With 0 none is asked for, and it is the next one that is free.
        has("Handle", Box::new(self.wished.map_or(0, |handle| handle.0)));
        match &self.kind {
            Kind::Service => has("Primary", Box::new(true)),
            Kind::Characteristic { flags, written_by_socket, notifies, .. } => {
                has("Service", Box::new(self.parent.clone()));
                has("Flags", Box::new(owned(flags)));
                // That they are there says that a socket can be asked for.
                if *written_by_socket {
                    has("WriteAcquired", Box::new(false));
                }
                if *notifies {
                    has("NotifyAcquired", Box::new(false));
                }
            }
            Kind::Descriptor { .. } => {
                has("Characteristic", Box::new(self.parent.clone()));
                has("Flags", Box::new(owned(&["read"])));
            }
        }
        properties
    }
}

/// What is not answered here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Ask(Ask),
    Acquire(Acquire),
}

/// A phone asks something that the band answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) device: [u8; 6],
    pub(super) mtu: Option<u16>,
    pub(super) handle: Handle,
    pub(super) offset: u16,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    Read,
    Write(Vec<u8>),
}

/// bluetoothd asks for a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acquire {
    pub(super) device: [u8; 6],
    pub(super) mtu: u16,
    pub(super) handle: Handle,
    pub(super) direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the phone.
    Writes,
    /// To the phone.
    Notifications,
}

/// To whom the answer goes. One that is dropped is an error.
pub(super) struct Answer {
    call: Message,
    connection: Arc<SyncConnection>,
    is_given: bool,
}

impl Answer {
    /// The value that was read.
    pub(super) fn value(self, value: Vec<u8>) {
        self.give((value,));
    }

    /// It was written.
    pub(super) fn done(self) {
        self.give(());
    }

    /// Our end of the socket that was asked for. It is closed when it is dropped.
    pub(super) fn socket(self, asked: &Acquire) -> io::Result<UnixDatagram> {
        // Where it is notified bluetoothd never waits; what it writes it hands over whole.
        let flags = match asked.direction {
            Direction::Notifications => SockFlag::SOCK_NONBLOCK,
            Direction::Writes => SockFlag::empty(),
        };
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags | SockFlag::SOCK_CLOEXEC)?;
        let ours = std::os::unix::net::UnixDatagram::from(ours);
        ours.set_nonblocking(true)?;
        let ours = UnixDatagram::from_std(ours)?;
        self.give((File::from(theirs), asked.mtu));
        Ok(ours)
    }

    pub(super) fn error(mut self, error: ReqError) {
        self.refuse(&error.into());
    }

    fn give(mut self, values: impl AppendAll) {
        let mut answer = self.call.method_return();
        answer.append_all(values);
        self.send(answer);
    }

    fn refuse(&mut self, error: &MethodErr) {
        self.send(error.to_message(&self.call));
    }

    fn send(&mut self, answer: Message) {
        self.is_given = true;
        if is_awaited(&self.call) {
            // Nobody is left to hear one that cannot be sent.
            let _ = self.connection.send(answer);
        }
    }
}

/// Whether a call is answered at all. bluetoothd says when it wants no answer, as to a write command, and the bus passes none on then:
/// it tells us so each time.
fn is_awaited(call: &Message) -> bool {
    !call.get_no_reply()
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.is_given {
            self.refuse(&ReqError::Failed.into());
        }
    }
}

/// The objects, registered. Dropped, they are gone: bluetoothd sees that their connection is.
pub(super) struct Application {
    connection: JoinHandle<()>,
}

impl Application {
    /// Registers them at an adapter; what bluetoothd asks comes out of `asked`, in the order in which it does. `None` when it has no
    /// room for them at the handles that it is asked for.
    pub(super) async fn register(
        adapter: &str,
        objects: Vec<Object>,
        asked: mpsc::Sender<(Asked, Answer)>,
    ) -> Result<Option<Self>, BluezError> {
        let no_bus = |error: dbus::Error| BluezError::NoBus(error.to_string());
        let (resource, connection) = dbus_tokio::connection::new_system_sync().map_err(no_bus)?;
        let application = Self { connection: tokio::spawn(async move { drop(resource.await) }) };
        let asks_for_handles = objects.iter().any(|object| object.wished.is_some());
        let (served, own) = (Served { objects, asked }, Arc::downgrade(&connection));
        let call = move |call: Message, _: &SyncConnection| {
            if let Some(connection) = own.upgrade() {
                served.handle(Answer { call, connection, is_given: false });
            }
            true
        };
        connection.start_receive(MatchRule::new_method_call(), Box::new(call));
        let manager = Proxy::new(BLUEZ, format!("/org/bluez/{adapter}"), REGISTERED_WITHIN, connection);
        let registered: Result<(), _> =
            manager.method_call(MANAGER, "RegisterApplication", (Path::from(ROOT), PropMap::new())).await;
        match registered {
            Ok(()) => Ok(Some(application)),
            Err(error) if asks_for_handles && error.name() == Some(FAILED) => Ok(None),
            Err(error) => Err(BluezError::Refused { what: "serve the attribute table", why: error.to_string() }),
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

struct Served {
    objects: Vec<Object>,
    asked: mpsc::Sender<(Asked, Answer)>,
}

/// What a call wants.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    /// To know all objects.
    Objects,
    /// To tell which handle an object was given.
    Handle,
    Asked(Asked),
}

impl Served {
    /// Answers a call, or hands it over at once so that calls stay in order. One that does not fit any more is answered as it is dropped.
    fn handle(&self, mut answer: Answer) {
        match understand(&self.objects, &answer.call) {
            Ok(Call::Objects) => answer.give((managed(&self.objects),)),
            Ok(Call::Handle) => answer.done(),
            Ok(Call::Asked(asked)) => drop(self.asked.try_send((asked, answer))),
            Err(error) => answer.refuse(&error),
        }
    }
}

fn understand(objects: &[Object], call: &Message) -> Result<Call, MethodErr> {
    let (Some(path), Some(interface), Some(member)) = (call.path(), call.interface(), call.member()) else {
        return Err(MethodErr::no_method("of no interface"));
    };
    match (&*interface, &*member) {
        ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects") if *path == *ROOT => Ok(Call::Objects),
        ("org.freedesktop.DBus.Properties", "Set") => Ok(Call::Handle),
        (interface, member) => {
            let object = objects.iter().find(|object| object.path == path);
            let object = object.ok_or_else(|| MethodErr::no_path(&*path))?;
            if object.interface() != interface {
                return Err(MethodErr::no_interface(interface));
            }
            object.understand(member, call)
        }
    }
}

impl Object {
    fn understand(&self, member: &str, call: &Message) -> Result<Call, MethodErr> {
        let (handle, by_call, by_socket, notifies) = match &self.kind {
            Kind::Service => return Err(MethodErr::no_method(member)),
            Kind::Characteristic { handle, written_by_socket, notifies, .. } => {
                (*handle, !written_by_socket, *written_by_socket, *notifies)
            }
            Kind::Descriptor { handle } => (*handle, false, false, false),
        };
        match member {
            "ReadValue" => {
                let (options,) = arguments(call)?;
                ask(&options, handle, What::Read)
            }
            "WriteValue" if by_call => {
                let (value, options) = arguments(call)?;
                ask(&options, handle, What::Write(value))
            }
            "AcquireWrite" if by_socket => acquire(call, handle, Direction::Writes),
            "AcquireNotify" if notifies => acquire(call, handle, Direction::Notifications),
            "WriteValue" | "AcquireWrite" | "AcquireNotify" | "StartNotify" | "StopNotify" => {
                Err(ReqError::NotSupported.into())
            }
            _ => Err(MethodErr::no_method(member)),
        }
    }
}

fn ask(options: &PropMap, handle: Handle, what: What) -> Result<Call, MethodErr> {
    let number = |name| prop_cast::<u16>(options, name).copied();
    let offset = number("offset").unwrap_or(0);
    Ok(Call::Asked(Asked::Ask(Ask { device: device(options)?, mtu: number("mtu"), handle, offset, what })))
}

fn acquire(call: &Message, handle: Handle, direction: Direction) -> Result<Call, MethodErr> {
    let (options,): (PropMap,) = arguments(call)?;
    let mtu = prop_cast::<u16>(&options, "mtu").copied().ok_or_else(|| MethodErr::invalid_arg("mtu"))?;
    Ok(Call::Asked(Asked::Acquire(Acquire { device: device(&options)?, mtu, handle, direction })))
}

fn arguments<R: ReadAll>(call: &Message) -> Result<R, MethodErr> {
    call.read_all().map_err(|error| MethodErr::invalid_arg(&error))
}

/// All objects in order, as `GetManagedObjects` has them.
fn managed(objects: &[Object]) -> impl Append + Arg + use<'_> {
    let described =
        |object: &Object| (object.path.clone(), HashMap::from([(object.interface().to_owned(), object.properties())]));
    Dict::new(objects.iter().map(described))
}

/// Who asks: `/org/bluez/hci1/dev_00_AA_01_00_00_00`.
fn device(options: &PropMap) -> Result<[u8; 6], MethodErr> {
    let path = prop_cast::<Path<'static>>(options, "device").ok_or_else(|| MethodErr::invalid_arg("device"))?;
    let address = path.rsplit_once("/dev_").and_then(|(_, address)| address.replace('_', ":").parse::<Address>().ok());
    Ok(address.ok_or_else(|| MethodErr::invalid_arg("device"))?.0)
}

#[cfg(test)]
mod tests {
    use dbus::arg::messageitem::MessageItem;

    use super::*;

    const PHONE: &str = "/org/bluez/hci1/dev_00_AA_01_00_00_00";

    /// Two services; the second has what a band's NFC channel has, and a descriptor.
    fn table() -> Vec<Object> {
        let characteristic = |uuid, handle, written_by_socket, notifies| Characteristic {
            uuid: Uuid::sig(uuid),
            handle: Handle(handle),
            flags: Vec::from(["read", "notify"]),
            written_by_socket,
            notifies,
            descriptors: Vec::new(),
        };
        let mut channel = characteristic(0xFED0, 0x21, true, true);
        channel.descriptors.push((Uuid::sig(0x2901), Handle(0x22)));
        let service = |uuid, handle, keeps_handles, characteristics| {
            let (uuid, handle) = (Uuid::sig(uuid), Handle(handle));
            Service { uuid, handle, keeps_handles, characteristics }
        };
        objects([
            service(0x180A, 0x0F, false, Vec::from([characteristic(0x2A25, 0x11, false, false)])),
            service(0xFEE0, 0x1F, true, Vec::from([channel, characteristic(0x2A2B, 0x25, false, false)])),
        ])
    }

    fn call(path: &str, interface: &str, member: &str) -> Message {
        Message::new_method_call("org.bandrig.test", path, interface, member).unwrap()
    }

    fn options(device: &str) -> PropMap {
        let mut options = PropMap::new();
        options.insert("device".into(), Variant(Box::new(Path::from(device.to_owned()))));
        options.insert("mtu".into(), Variant(Box::new(23_u16)));
        options.insert("offset".into(), Variant(Box::new(4_u16)));
        options
    }

    fn refused(call: &Message) -> String {
        let error = understand(&table(), call).unwrap_err();
        error.errorname().to_string()
    }

    /// What bluetoothd reads, in the order in which it gives handles.
    #[test]
    fn objects_come_in_the_order_of_the_profile_each_time() {
        let expected = [
            "/bandrig/service00",
            "/bandrig/service00/char00",
            "/bandrig/service01",
            "/bandrig/service01/char00",
            "/bandrig/service01/char00/desc00",
            "/bandrig/service01/char01",
        ];
        for _ in 0..20 {
            let table = table();
            let message = call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
            assert_eq!(understand(&table, &message).unwrap(), Call::Objects);
            let told = message.append1(managed(&table));
            let Some(MessageItem::Dict(told)) = told.get_items().pop() else { panic!("no dictionary") };
            let paths = told.iter().map(|(path, _)| path.inner::<&Path<'static>>().unwrap().to_string());
            assert_eq!(paths.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn handles_are_asked_for_where_they_are_kept() {
        let asked = |object: &Object| *prop_cast::<u16>(&object.properties(), "Handle").unwrap();
        assert_eq!(table().iter().map(asked).collect::<Vec<_>>(), [0, 0, 0x1F, 0x21, 0x22, 0x25]);
    }

    #[test]
    fn a_question_says_who_asks_and_for_what() {
        let value = Vec::from([1, 2]);
        let path = "/bandrig/service01/char01";
        let ask = |handle, what| {
            let device = [0, 0xAA, 1, 0, 0, 0];
            Call::Asked(Asked::Ask(Ask { device, mtu: Some(23), handle: Handle(handle), offset: 4, what }))
        };
        let read = call(path, CHARACTERISTIC, "ReadValue").append1(options(PHONE));
        assert_eq!(understand(&table(), &read).unwrap(), ask(0x25, What::Read));
        let write = call(path, CHARACTERISTIC, "WriteValue").append2(value.clone(), options(PHONE));
        assert_eq!(understand(&table(), &write).unwrap(), ask(0x25, What::Write(value)));
        let descriptor = call("/bandrig/service01/char00/desc00", DESCRIPTOR, "ReadValue").append1(options(PHONE));
        assert_eq!(understand(&table(), &descriptor).unwrap(), ask(0x22, What::Read));
        for (member, direction) in [("AcquireWrite", Direction::Writes), ("AcquireNotify", Direction::Notifications)] {
            let acquire = Acquire { device: [0, 0xAA, 1, 0, 0, 0], mtu: 23, handle: Handle(0x21), direction };
            let asked = call("/bandrig/service01/char00", CHARACTERISTIC, member).append1(options(PHONE));
            assert_eq!(understand(&table(), &asked).unwrap(), Call::Asked(Asked::Acquire(acquire)));
        }
    }

    #[test]
    fn a_call_that_wants_no_answer_gets_none() {
        let mut write = call("/bandrig/service01/char01", CHARACTERISTIC, "WriteValue");
        assert!(is_awaited(&write));
        write.set_no_reply(true);
        assert!(!is_awaited(&write));
    }

    #[test]
    fn a_call_that_means_nothing_is_refused_with_a_reason() {
        let (channel, plain) = ("/bandrig/service01/char00", "/bandrig/service01/char01");
        let cases = [
            (call("/bandrig/service07", SERVICE, "ReadValue"), "UnknownObject"),
            (call(channel, DESCRIPTOR, "ReadValue"), "UnknownInterface"),
            (call("/bandrig/service00", SERVICE, "ReadValue"), "UnknownMethod"),
            (call(channel, CHARACTERISTIC, "Explode"), "UnknownMethod"),
            (call(plain, CHARACTERISTIC, "ReadValue"), "InvalidArgs"),
            (call(plain, CHARACTERISTIC, "ReadValue").append1("device"), "InvalidArgs"),
            (call(plain, CHARACTERISTIC, "ReadValue").append1(PropMap::new()), "InvalidArgs"),
            (call(plain, CHARACTERISTIC, "ReadValue").append1(options("/org/bluez/hci1")), "InvalidArgs"),
            (call(plain, CHARACTERISTIC, "ReadValue").append1(options("/org/bluez/hci1/dev_00_AA")), "InvalidArgs"),
            (call(plain, CHARACTERISTIC, "WriteValue").append1(options(PHONE)), "InvalidArgs"),
            (call(channel, CHARACTERISTIC, "AcquireWrite").append1(PropMap::new()), "InvalidArgs"),
            // There is a socket for the one, and none for the other.
            (call(channel, CHARACTERISTIC, "WriteValue").append2(Vec::<u8>::new(), options(PHONE)), "NotSupported"),
            (call(plain, CHARACTERISTIC, "AcquireWrite").append1(options(PHONE)), "NotSupported"),
            (call(plain, CHARACTERISTIC, "AcquireNotify").append1(options(PHONE)), "NotSupported"),
            (call(plain, CHARACTERISTIC, "StartNotify"), "NotSupported"),
        ];
        for (call, expected) in cases {
            let refused = refused(&call);
            assert!(refused.ends_with(expected), "{call:?}: {refused}");
        }
    }
}
