//! One connection: octets from the wire to the session, its replies back, its events and actions to the store. What to
//! answer is the session's business.

mod faults;
mod perform;
mod secure;

use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};

pub(super) use self::faults::Struck;
use self::secure::Door;
use super::{
    Shared,
    allowance::Allowance,
    flight::{GATHERED, Share},
    machine::Machine,
    registry::{Seat, Session, learnt},
    under_way::Load,
    wire::Accepted,
};
use crate::{
    evidence::{Conn, Ending, EventKind, Injected, Timestamp, Who},
    protocol::{Action, Input, Next, Now, Outcome, Output, Peer, Refusal, line::Framer},
    store::{MailboxLock, Origin},
};

/// How long the changes of a folder are gathered before a session that idles is told.
const CALM: Duration = Duration::from_millis(20);

/// How long a session goes on with what it has, in microseconds, before others get their turn.
const TURN_MICROS: i64 = 200;

/// The largest buffer that a session keeps when its replies are sent.
const KEPT: usize = 4 << 10;

/// A connection and everything that belongs to it.
pub(super) struct Drive<M, W> {
    server: Arc<Shared>,
    /// Says when the server stops and until when work may be finished. As long as it lives, the server waits for this session.
    stopping: watch::Receiver<Option<Instant>>,
    wire: W,
    /// What the record is told of a connection that must begin with a handshake and does not; none for others.
    door: Option<Box<Door>>,
    session: M,
    framer: Framer,
    idle: Duration,
    handshake_secs: u64,
    mailbox_limit: u64,
    queue_limit: usize,
    conn: Conn,
    who: Who,
    seat: Option<Seat>,
    injected: Option<Injected>,
    lock: Option<MailboxLock>,
    /// What the session says in one turn.
    out: Output,
    /// Replies that are not sent yet, and the session's share of all that are not.
    reply: Vec<u8>,
    flight: Share,
    /// What the session holds of mail that comes in.
    load: Load,
    /// What the session waits for.
    next: Next,
    /// Events that the store does not have yet, and when the first of them was.
    events: Vec<EventKind>,
    since: Timestamp,
    /// Tells when the folder that the session watches has changed.
    watched: Option<watch::Receiver<u64>>,
    /// Whether the last command was QUIT or LOGOUT.
    quit: bool,
    /// Whether what came last was there before the command before it was answered; none once its event is written.
    pipelined: Option<bool>,
    /// Whether the client was waited for since the last input.
    heard: bool,
    /// Whether something came that nothing was said to: a line without its end, message data on its way.
    unanswered: bool,
    /// The fault that strikes what came last.
    struck: Option<Box<Struck>>,
    /// When its turn began, on the clock that nobody sets; none: it waits for the client.
    turn_began: Option<i64>,
    allowance: Allowance,
    /// Where the client is.
    remote: Option<IpAddr>,
    /// Whether the record hears nothing of this connection any more.
    silent: bool,
}

/// What waiting for the client brought.
enum Heard {
    Octets,
    Changed,
    /// Nothing, for so long that what waits to be recorded need not wait any more.
    Rest,
    Nothing,
    Stop,
    /// The instructor ends the session.
    Ended,
    Gone(Ending),
}

impl<M: Machine, W: Accepted> Drive<M, W> {
    /// Puts a connection together.
    pub(super) fn new(
        server: Arc<Shared>,
        wire: W,
        peer: Peer,
        seat: Option<Seat>,
        injected: Option<Injected>,
    ) -> Self {
        let (limits, conn) = (&peer.config.limits, server.store.next_conn());
        if let Some(seat) = &seat {
            let (service, peer, since) = (peer.service, peer.remote, Timestamp(server.clock.now().micros));
            seat.introduce(Session { conn, student: None, service, peer, since, holds: None });
        }
        let mut allowance = Allowance::new(limits);
        let remote = peer.remote.map(|remote| remote.ip());
        allowance.charge(&peer.who, remote, server.clock.now(), &server.store, &server.rates);
        Self {
            allowance,
            remote,
            silent: false,
            stopping: server.stopping.subscribe(),
            framer: Framer::new(M::framing(&peer)),
            idle: M::idle(limits),
            handshake_secs: limits.handshake_secs,
            door: Door::of(&peer),
            mailbox_limit: limits.mailbox,
            queue_limit: peer.config.relaying.patience.recipients,
            conn,
            who: peer.who.clone(),
            session: M::new(peer),
            flight: server.flight.join(),
            load: server.under_way.join(),
            server,
            wire,
            seat,
            injected,
            lock: None,
            out: Output::default(),
            reply: Vec::new(),
            next: Next::Line,
            events: Vec::new(),
            since: Timestamp::default(),
            watched: None,
            quit: false,
            pipelined: None,
            heard: true,
            unanswered: false,
            struck: None,
            turn_began: None,
        }
    }

    /// Holds the conversation to its end. However it ends, the record has exactly one end of it.
    pub(super) async fn run(mut self, refusal: Option<Refusal>) -> Ending {
        if refusal == Some(Refusal::Evidence) {
            if let Some(told) = self.allowance.exhausted() {
                self.note([told]);
                self.record().await;
            }
            // Otherwise whoever connects again and again fills the record all the same.
            self.silent = true;
        }
        let how = contained(self.converse(refusal)).await.unwrap_or(Ending::Failed);
        self.lock = None;
        self.release();
        self.out = Output { events: vec![EventKind::Disconnected { how }], ..Output::default() };
        self.take_in(self.server.clock.now());
        self.record().await;
        self.leave_faults();
        how
    }

    async fn converse(&mut self, refusal: Option<Refusal>) -> Ending {
        match self.talk(refusal).await {
            Ok(ending) => self.close(ending).await,
            Err(ending) => ending,
        }
    }

    /// The conversation, up to an end that still is to be told, or one after which nobody listens.
    async fn talk(&mut self, refusal: Option<Refusal>) -> Result<Ending, Ending> {
        if let Some(door) = self.door.take() {
            self.open_door(&door, refusal).await?;
        } else {
            self.say(refusal.map_or(Input::Connected, Input::Refused)).await?;
            if refusal.is_some() {
                return Ok(Ending::Refused);
            }
        }
        if let Some(ending) = self.suffer().await {
            return Err(ending);
        }
        loop {
            if self.next == Next::StartTls {
                Box::pin(self.start_tls()).await?;
                continue;
            }
            if self.next == Next::Close {
                return Ok(if self.quit { Ending::Quit } else { Ending::Refused });
            }
            if self.reply.len() >= GATHERED {
                self.send().await?;
            }
            self.weigh();
            let now = self.server.clock.now();
            self.give_way(now).await?;
            if let Some(input) = self.framer.next(self.next) {
                if self.allowance.is_exhausted() {
                    return self.exhausted().await;
                }
                // Nothing was waited for since the last input, so this one was there before that was answered. A command of
                // several inputs (literals, chunks) is as pipelined as its first.
                self.pipelined.get_or_insert(!self.heard);
                self.heard = false;
                self.struck =
                    self.server.faults.strike((&self.who, self.conn), &self.session, &input, now, &mut self.events);
                faults::hand(&mut self.session, self.struck.as_deref_mut(), input, now, &mut self.out);
                self.settle(now).await?;
                if let Some(ending) = self.suffer().await {
                    return Err(ending);
                }
                continue;
            }
            let early = self.overtaken().await;
            self.send().await?;
            if early {
                continue;
            }
            if std::mem::take(&mut self.unanswered) {
                self.wire.acknowledge();
            }
            let (last, how) = match self.listen().await {
                Heard::Octets => {
                    self.heard = true;
                    self.unanswered = true;
                    continue;
                }
                Heard::Changed => {
                    self.heard = true;
                    // Changes come in bursts: a few are told together.
                    sleep_until(Instant::now() + CALM).await;
                    self.say(Input::Changed).await?;
                    continue;
                }
                Heard::Rest => {
                    self.release();
                    continue;
                }
                Heard::Nothing => (Input::Idle, Ending::Idle),
                Heard::Stop => (Input::Shutdown, Ending::Shutdown),
                Heard::Ended => (Input::Ended, Ending::Instructor),
                Heard::Gone(ending) => return Err(ending),
            };
            self.say(last).await?;
            return Ok(how);
        }
    }

    /// Lets others have their turn where this one has lasted long enough: a client that sends faster than it is answered would
    /// otherwise have the thread for itself.
    async fn give_way(&mut self, now: Now) -> Result<(), Ending> {
        let began = *self.turn_began.get_or_insert(now.steady_micros);
        if now.steady_micros.saturating_sub(began) >= TURN_MICROS {
            self.turn_began = None;
            yield_now().await;
            // Whoever never waits is not told while waiting.
            if self.seat.as_ref().is_some_and(Seat::is_ended) {
                return Err(Ending::Instructor);
            }
        }
        Ok(())
    }

    /// There is as much evidence of whoever it is as there may be: what came is not carried out.
    async fn exhausted(&mut self) -> Result<Ending, Ending> {
        if let Some(told) = self.allowance.exhausted() {
            self.note([told]);
        }
        self.say(Input::Exhausted).await?;
        Ok(Ending::Refused)
    }

    /// Has the record hold what the session does not know of.
    fn note<const N: usize>(&mut self, events: [EventKind; N]) {
        if self.events.is_empty() {
            self.since = Timestamp(self.server.clock.now().micros);
        }
        self.events.extend(events);
    }

    /// Notes what mail that comes in takes, and has it thrown away where the server has no room.
    fn weigh(&mut self) {
        let held = self.framer.held() + self.session.held();
        if held == self.load.held() || self.load.hold(held, &self.who, &self.session.peer().config.limits) {
            return;
        }
        self.framer.give_up();
        self.session.handle(Input::NoRoom, self.server.clock.now(), &mut self.out);
    }

    /// Gives the session an input that did not come from the client.
    async fn say(&mut self, input: Input<'_>) -> Result<(), Ending> {
        let now = self.server.clock.now();
        self.struck = self.server.faults.strike((&self.who, self.conn), &self.session, &input, now, &mut self.events);
        faults::hand(&mut self.session, self.struck.as_deref_mut(), input, now, &mut self.out);
        self.settle(now).await
    }

    /// Takes in what the session wants, and performs its actions until it asks for nothing more.
    async fn settle(&mut self, mut now: Now) -> Result<(), Ending> {
        loop {
            if let Some(who) = self.out.who.take() {
                // What came before was seen of whoever it was then.
                self.release();
                self.record().await;
                self.become_known(who);
            }
            let Some(action) = self.take_in(now) else { return Ok(()) };
            let outcome = match (self.make_way(&action).await, &action) {
                (Ok(()), _) => self.perform(action).await,
                // The session records how far it came, and is over.
                (Err(ending), Action::Send | Action::Read { .. }) => {
                    self.session.handle(Input::Done(Outcome::Lost), now, &mut self.out);
                    self.take_in(now);
                    return Err(ending);
                }
                (Err(ending), _) => return Err(ending),
            };
            now = self.server.clock.now();
            self.give_way(now).await?;
            self.session.handle(Input::Done(outcome), now, &mut self.out);
        }
    }

    /// Sends what was said, where that must be before an action: a long answer is made as the client takes it.
    async fn make_way(&mut self, action: &Action) -> Result<(), Ending> {
        let full = match action {
            Action::Send => true,
            Action::Read { most, .. } => self.reply.len() as u64 + most > GATHERED as u64,
            Action::Room { .. }
            | Action::QueueRoom { .. }
            | Action::Hurry { .. }
            | Action::Waiting { .. }
            | Action::TurnRound { .. }
            | Action::Deliver(_)
            | Action::Open { .. }
            | Action::Expunge { .. }
            | Action::Folders(_) => self.reply.len() >= GATHERED,
        };
        if full { self.send_on().await } else { Ok(()) }
    }

    /// Empties the output for the session's next turn; what is left to do is its action.
    fn take_in(&mut self, now: Now) -> Option<Action> {
        self.mark(now);
        for event in &mut self.out.events {
            if let EventKind::Command { verb, pipelined, .. } = event {
                self.quit = matches!(verb.as_ref(), "QUIT" | "LOGOUT");
                *pipelined = self.pipelined.take().unwrap_or(false);
            }
        }
        if self.events.is_empty() {
            self.since = Timestamp(now.micros);
        }
        for event in self.out.events.drain(..) {
            self.allowance.admit(event, now, &mut self.events);
        }
        if self.reply.is_empty() {
            std::mem::swap(&mut self.reply, &mut self.out.reply);
        } else {
            self.reply.append(&mut self.out.reply);
        }
        self.flight.hold(self.reply.len());
        self.next = std::mem::take(&mut self.out.next);
        self.out.action.take()
    }

    fn become_known(&mut self, who: Who) {
        self.who = learnt(&self.who, who);
        self.allowance.charge(&self.who, self.remote, self.server.clock.now(), &self.server.store, &self.server.rates);
        if let Some(seat) = &mut self.seat {
            seat.take(&self.who);
        }
    }

    /// Has what is repeated recorded before anything else.
    fn release(&mut self) {
        if let Some(event) = self.allowance.release() {
            self.note([event]);
        }
    }

    fn taken(&mut self) -> (Origin, Vec<EventKind>) {
        let origin = Origin { conn: self.conn, who: self.who.clone(), time: self.since };
        (origin, std::mem::take(&mut self.events))
    }

    async fn record(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let (origin, events) = self.taken();
        if self.silent {
            return;
        }
        // A store that takes no events has failed or is closed: the next delivery tells the client.
        let _ = self.server.store.record(origin, events).await;
    }

    /// Whether more has come, and is read, before what was answered is sent: whoever sends several commands in several pieces
    /// has them answered one by one, and still did not wait.
    async fn overtaken(&mut self) -> bool {
        self.record().await;
        if self.reply.is_empty() || self.next == Next::Close {
            return false;
        }
        // An end or an error is met again by whoever listens next.
        tokio::select! {
            biased;
            read = self.wire.read(&mut self.framer) => matches!(read, Ok(1..)),
            () = std::future::ready(()) => false,
        }
    }

    /// Records what was seen and sends what was answered.
    async fn send(&mut self) -> Result<(), Ending> {
        self.record().await;
        if self.reply.is_empty() {
            return Ok(());
        }
        let sent = tokio::select! {
            biased;
            sent = timeout(self.idle, self.wire.write(&self.reply)) => sent,
            () = deadline(&mut self.stopping) => return Err(Ending::Shutdown),
            () = ended(self.seat.as_ref()) => return Err(Ending::Instructor),
        };
        self.unanswered = false;
        if self.reply.capacity() > KEPT {
            self.reply = Vec::new();
        }
        self.reply.clear();
        self.flight.hold(0);
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ending::Dropped),
            Err(_) => Err(Ending::Idle),
        }
    }

    async fn close(&mut self, how: Ending) -> Ending {
        if let Err(ending) = self.send().await {
            return ending;
        }
        self.wire.finish().await;
        how
    }

    /// Waits for the client. A message under way may be finished while the server stops; a command may not be begun.
    async fn listen(&mut self) -> Heard {
        let data = matches!(self.next, Next::Data | Next::Chunk(_));
        self.turn_began = None;
        let read = timeout(self.idle, self.wire.read(&mut self.framer));
        let read = tokio::select! {
            biased;
            read = read => read,
            () = changed(&mut self.watched) => return Heard::Changed,
            () = rest(self.allowance.waits()) => return Heard::Rest,
            () = stop(&mut self.stopping, data) => {
                return if data { Heard::Gone(Ending::Shutdown) } else { Heard::Stop };
            }
            () = ended(self.seat.as_ref()) => {
                return if data { Heard::Gone(Ending::Instructor) } else { Heard::Ended };
            }
        };
        match read {
            Ok(Ok(1..)) => Heard::Octets,
            Ok(Ok(0) | Err(_)) => Heard::Gone(Ending::Dropped),
            Err(_) => Heard::Nothing,
        }
    }
}

/// Returns after this time; never where there is none.
async fn rest(waits: Option<Duration>) {
    match waits {
        Some(waits) => tokio::time::sleep(waits).await,
        None => std::future::pending().await,
    }
}

/// Returns when the folder that is watched has changed; never where none is.
async fn changed(watched: &mut Option<watch::Receiver<u64>>) {
    match watched {
        // The sender lives as long as somebody watches.
        Some(watched) => _ = watched.changed().await,
        None => std::future::pending().await,
    }
}

/// Returns when the server stops: at once, or, for a message under way, when its time is over.
async fn stop(stopping: &mut watch::Receiver<Option<Instant>>, data: bool) {
    if data {
        return deadline(stopping).await;
    }
    // The sender lives in the server, which the session keeps alive.
    let _ = stopping.wait_for(Option::is_some).await;
}

/// Returns when the instructor ends the session; labctl's own have no seat.
pub(super) async fn ended(seat: Option<&Seat>) {
    match seat {
        Some(seat) => seat.ended().await,
        None => std::future::pending().await,
    }
}

async fn deadline(stopping: &mut watch::Receiver<Option<Instant>>) {
    let until = stopping.wait_for(Option::is_some).await.ok().and_then(|until| *until);
    sleep_until(until.unwrap_or_else(Instant::now)).await;
}

/// Runs a future; none where it panicked. A defect in one session ends that session.
async fn contained<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests;
