//! One loop: what the phone asks, in order, and a link or a world that may go away at any moment.

use std::collections::VecDeque;

use band_sim::edge::bluez::BluezError;
use band_sim::edge::bluez::world::{World, disconnect};
use band_sim::wire::gatt::CharacteristicId;
use bluer::Address;
use tokio::time::{Instant, timeout};

use super::connection::{Connection, InFlight};
use super::{BleError, Config, Ends, MAX_COMMANDS_QUEUED, scan};
use crate::phone::io::{LinkCommand, LinkEvent};

/// Writes without response that nothing has answered; then they are made sure to have arrived before more are sent: bluetoothd loses what
/// its sockets cannot hold, which is a few hundred.
const MAX_IN_FLIGHT: usize = 64;

pub(super) struct Central {
    config: Config,
    /// `None` when it broke: the next connect opens it again.
    world: Option<World>,
    ends: Ends,
    /// What came while something else was being waited for, at most as many as in the queue.
    waiting: VecDeque<LinkCommand>,
    link: Option<Connection>,
    in_flight: InFlight,
}

/// Why the loop has something to do.
enum Wake {
    Command(LinkCommand),
    Lost,
    Broken(BleError),
    End,
}

impl Central {
    pub(super) fn new(config: Config, world: World, ends: Ends) -> Self {
        Self { config, world: Some(world), ends, waiting: VecDeque::new(), link: None, in_flight: InFlight::default() }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.wake().await {
                Wake::Command(command) => self.handle(command).await,
                Wake::Lost => self.lost().await,
                Wake::Broken(error) => self.broken(error),
                Wake::End => break,
            }
        }
        self.disconnect().await;
    }

    async fn wake(&mut self) -> Wake {
        if let Some(command) = self.waiting.pop_front() {
            return Wake::Command(command);
        }
        tokio::select! {
            biased;
            error = world_gone(&mut self.world) => Wake::Broken(error),
            () = link_gone(&mut self.link) => Wake::Lost,
            command = self.ends.commands.recv() => command.map_or(Wake::End, Wake::Command),
        }
    }

    async fn handle(&mut self, command: LinkCommand) {
        match command {
            LinkCommand::Connect => self.connect().await,
            LinkCommand::Disconnect => self.disconnect().await,
            LinkCommand::Write { characteristic, value, with_response: false } => {
                self.command(characteristic, &value).await;
            }
            request => self.request(request).await,
        }
    }

    async fn connect(&mut self) {
        if self.link.is_some() {
            return;
        }
        let config = self.config.clone();
        let (began, mut called) = (Instant::now(), None);
        let opening = open(&mut self.world, &config, &mut called);
        match unless_interrupted(opening, &mut self.ends, &mut self.waiting).await {
            Some(Ok(link)) => {
                self.ends.forgive();
                self.ends.tell(LinkEvent::Connected { address: link.address, mtu: link.mtu });
                self.in_flight.arrived();
                self.link = Some(link);
            }
            Some(Err(error)) => {
                let error = self.named(error).await;
                if matches!(error, BleError::World(_)) {
                    self.world = None;
                }
                self.ends.blame(error);
                self.ends.tell(LinkEvent::ConnectFailed);
            }
            None => {
                self.ends.blame(BleError::GivenUp { what: "the connection", after: began.elapsed() });
                // It may get through, or have got through, when nobody waits for it any more.
                if let (Some(Address(called)), Some(world)) = (called, &self.world) {
                    disconnect(world.adapter().clone(), called).await;
                }
            }
        }
    }

    async fn disconnect(&mut self) {
        if let (Some(link), Some(world)) = (self.link.take(), &self.world) {
            link.close(world, self.config.deadlines.disconnect, self.config.hang_up).await;
            self.ends.tell(LinkEvent::Disconnected);
        }
    }

    /// The link is gone. The world may be what took it, which is then known before the phone is told.
    async fn lost(&mut self) {
        match self.trouble().await {
            Some(error) => self.broken(error.into()),
            None => self.link_ended(),
        }
    }

    /// What went wrong, by its true name: a world that goes away refuses everything on its way.
    async fn named(&mut self, error: BleError) -> BleError {
        match self.trouble().await {
            None | Some(BluezError::SwitchedOff { .. }) => error,
            Some(gone) => gone.into(),
        }
    }

    async fn trouble(&mut self) -> Option<BluezError> {
        let world = self.world.as_mut()?;
        if world.is_on().await { None } else { Some(world.why_off().await) }
    }

    fn broken(&mut self, error: BleError) {
        self.ends.blame(error);
        self.world = None;
        self.link_ended();
    }

    fn link_ended(&mut self) {
        if self.link.take().is_some() {
            self.ends.tell(LinkEvent::Disconnected);
        }
    }

    /// A write without a response. What was sent before has been taken when too much of it is on its way: requests overtake nothing.
    async fn command(&mut self, characteristic: CharacteristicId, value: &[u8]) {
        let Some(link) = &mut self.link else { return };
        let (began, in_flight) = (Instant::now(), &self.in_flight);
        let sent = timeout(self.config.deadlines.request, async {
            link.write_command(characteristic, value).await;
            if in_flight.sent() >= MAX_IN_FLIGHT {
                in_flight.arrived();
                link.ping().await;
            }
        });
        match unless_interrupted(sent, &mut self.ends, &mut self.waiting).await {
            Some(Ok(())) => {}
            Some(Err(_)) => self.not_answered().await,
            None => self.ends.blame(BleError::GivenUp { what: "a write", after: began.elapsed() }),
        }
    }

    /// Core 5.4 vol 3 part F 3.3.3: no more requests on this link.
    async fn not_answered(&mut self) {
        self.ends.blame(BleError::NotAnswered { within: self.config.deadlines.request });
        self.disconnect().await;
    }

    async fn request(&mut self, command: LinkCommand) {
        let Some(link) = &mut self.link else { return };
        let (began, events, in_flight) = (Instant::now(), self.ends.events.clone(), self.in_flight.clone());
        let asked = timeout(self.config.deadlines.request, async {
            let event = match command {
                LinkCommand::Subscribe { characteristic } => {
                    let result = link.subscribe(characteristic, &events, in_flight).await;
                    Some(LinkEvent::Subscribed { characteristic, result })
                }
                LinkCommand::Read { characteristic } => {
                    Some(LinkEvent::ReadDone { characteristic, result: link.read(characteristic).await })
                }
                LinkCommand::Write { characteristic, value, .. } => {
                    Some(LinkEvent::WriteDone { characteristic, result: link.write(characteristic, &value).await })
                }
                LinkCommand::Connect | LinkCommand::Disconnect => None,
            };
            // An error may be that of a link which is not there any more.
            let failed = event.as_ref().is_some_and(is_error);
            if failed && !link.device.is_connected().await.unwrap_or(false) { None } else { event }
        });
        match unless_interrupted(asked, &mut self.ends, &mut self.waiting).await {
            Some(Ok(Some(event))) => {
                self.in_flight.arrived();
                self.ends.tell(event);
            }
            Some(Ok(None)) => self.lost().await,
            Some(Err(_)) => self.not_answered().await,
            None => self.ends.blame(BleError::GivenUp { what: "a request", after: began.elapsed() }),
        }
    }
}

/// `None` when the phone wants the link dropped, or nobody wants anything any more. What else it asks waits.
async fn unless_interrupted<T>(
    work: impl Future<Output = T>,
    ends: &mut Ends,
    waiting: &mut VecDeque<LinkCommand>,
) -> Option<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            command = ends.commands.recv() => match command {
                Some(LinkCommand::Disconnect) => {
                    waiting.push_back(LinkCommand::Disconnect);
                    return None;
                }
                Some(command) if waiting.len() < MAX_COMMANDS_QUEUED => waiting.push_back(command),
                // As one for which the queue has no room.
                Some(_) => {}
                None => return None,
            },
        }
    }
}

/// `called` is whom it calls, from when it does.
async fn open(
    world: &mut Option<World>,
    config: &Config,
    called: &mut Option<Address>,
) -> Result<Connection, BleError> {
    let world = match world {
        Some(world) => world,
        None => world.insert(World::open(&config.adapter).await?),
    };
    world.power_on().await?;
    // As a phone with its own band: that one is called by its address, and only a stranger is listened for.
    *called = scan::known(world.adapter(), config).await;
    if let Some(known) = *called
        && let Ok(connection) = Connection::open(world, known, config).await
    {
        return Ok(connection);
    }
    let address = scan::scan(world.adapter(), config).await?;
    *called = Some(address);
    Connection::open(world, address, config).await
}

const fn is_error(event: &LinkEvent) -> bool {
    matches!(
        event,
        LinkEvent::Subscribed { result: Err(_), .. }
            | LinkEvent::ReadDone { result: Err(_), .. }
            | LinkEvent::WriteDone { result: Err(_), .. }
    )
}

async fn world_gone(world: &mut Option<World>) -> BleError {
    match world {
        Some(world) => BleError::World(world.gone().await),
        None => std::future::pending().await,
    }
}

async fn link_gone(link: &mut Option<Connection>) {
    match link {
        Some(link) => link.gone().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn what_comes_while_the_link_stands_still_is_bounded_and_can_be_broken_off() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (commands, queue) = mpsc::channel(MAX_COMMANDS_QUEUED);
        let mut ends = Ends { commands: queue, events: sync_channel(1).0, trouble: Arc::default() };
        let mut waiting = VecDeque::new();
        let read = || LinkCommand::Read { characteristic: CharacteristicId::BATTERY };
        runtime.block_on(async {
            let asking = async {
                for _ in 0..3 * MAX_COMMANDS_QUEUED {
                    commands.send(read()).await.unwrap();
                }
                commands.send(LinkCommand::Disconnect).await.unwrap();
            };
            let standing_still = unless_interrupted(pending::<()>(), &mut ends, &mut waiting);
            let (ended, ()) = tokio::join!(standing_still, asking);
            assert_eq!(ended, None);
        });
        assert_eq!(waiting.len(), MAX_COMMANDS_QUEUED + 1);
        assert_eq!(waiting.pop_back(), Some(LinkCommand::Disconnect));
    }
}
