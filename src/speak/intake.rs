//! What a lane takes up of what waits: letters that may go soon come into memory, those that stand behind them wait in the ledger
//! until it is their turn. What cannot go takes no room of what can, and no subscription takes that of another.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::attempt::letter;
use super::carrier::{Carrier, Member};
use super::inbox::Offer;
use super::queue::{Key, Letter};
use crate::ledger::{self, Notice};

/// Notices of a subscription kept in memory that do not rest; the others wait in the ledger.
const QUEUE_MAX: usize = 512;
/// The same of all subscriptions of a lane, before no more are read.
const LANE_MAX: usize = 4_096;
/// Notices of one person for one subscription in memory.
const DEPTH_MAX: usize = 8;
/// Persons of a subscription whose first notice was put off, before no more are read: at so many of them its endpoint fails.
const RESTING_MAX: usize = 512;
/// The same of all subscriptions of a lane; each has its share of it, a page at least.
const LANE_RESTING_MAX: usize = 8_192;
/// Notices of a subscription of which it is known that they stand behind others, before no more are read. More than that the ledger
/// hardly keeps.
const BEHIND_MAX: usize = 100_000;
/// The same of all subscriptions of a lane; each has its share of it, a page at least.
const LANE_BEHIND_MAX: usize = 800_000;
/// Notices read at once, when fewer than half of a queue are left.
const PAGE: usize = 256;
/// Reads before the lane does something else.
const READS_MAX: usize = 16;

/// What a lane holds of a subscription.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    going: usize,
    resting: usize,
    behind: usize,
    /// What all subscriptions of the lane have going.
    all_going: usize,
    /// How many subscriptions there are.
    members: usize,
}

impl Load {
    /// Whether one more notice may be taken up.
    fn has_room(self) -> bool {
        self.may_go() && self.may_rest(1)
    }

    /// Whether one more letter may come into memory.
    fn may_go(self) -> bool {
        self.going < QUEUE_MAX && self.all_going < LANE_MAX
    }

    /// Whether it is time to read on.
    fn has_room_for_a_page(self) -> bool {
        self.going < QUEUE_MAX / 2 && self.may_rest(PAGE)
    }

    /// Whether so many more may come to stand behind others.
    fn may_rest(self, count: usize) -> bool {
        let share = |each: usize, all: usize| each.min((all / self.members.max(1)).max(PAGE));
        self.resting < share(RESTING_MAX, LANE_RESTING_MAX) && self.behind + count <= share(BEHIND_MAX, LANE_BEHIND_MAX)
    }
}

impl Carrier {
    fn load_of(&self, id: &str) -> Load {
        let queues = self.lane.queues();
        Load {
            going: queues.going(id),
            resting: queues.resting(id),
            behind: self.members.get(id).map_or(0, |member| member.behind.len()),
            all_going: queues.all_going(),
            members: self.members.len(),
        }
    }

    /// Numbers have no gaps: a notice that is not the next one shows that others wait in the ledger.
    pub(super) fn accept(&mut self, offer: Offer) {
        let id: Arc<str> = Arc::from(offer.subscription);
        let has_room = self.load_of(&id).has_room();
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if offer.notice.number == member.loaded + 1 && has_room {
            self.take_up(&id, offer.notice, offer.body);
        } else if offer.notice.number > member.loaded {
            member.more = true;
            self.feed(&id);
        }
    }

    /// Takes the next notice into memory, or remembers that it stands behind others.
    fn take_up(&mut self, id: &Arc<str>, notice: Notice, body: Option<Bytes>) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.loaded = notice.number;
        let letter = letter(id, notice, body);
        if self.lane.queues().depth(&letter.key()) >= DEPTH_MAX || member.behind.holds(&letter) {
            member.behind.put(&letter);
        } else {
            self.lane.push(letter);
        }
    }

    /// Something became of the first letter of a queue: what stands behind it in the ledger may have to follow.
    pub(super) fn follow(&mut self, key: &Key) {
        if let Some(member) = self.members.get_mut(&key.subscription)
            && self.lane.queues().depth(key) <= DEPTH_MAX / 2
            && member.behind.first(key).is_some()
        {
            member.ended.insert(key.clone());
        }
        self.feed(&key.subscription);
    }

    /// Sees to it that what waits in the ledger is read, once there is room for it, and that one that is over is looked at when
    /// nothing of it waits any more.
    pub(super) fn feed(&mut self, id: &Arc<str>) {
        let Some(member) = self.members.get(id) else { return };
        let load = self.load_of(id);
        if (member.more && load.has_room_for_a_page()) || (!member.ended.is_empty() && load.going < QUEUE_MAX) {
            self.hungry.insert(Arc::clone(id));
        } else if self.is_done(id) {
            self.timers.insert((self.looked_at, Arc::clone(id)));
        }
    }

    /// Whether a subscription is over, and nothing that is known of waits for it.
    pub(super) fn is_done(&self, id: &Arc<str>) -> bool {
        let is_done = |member: &Member| member.is_over(self.looked_at) && !member.more && member.behind.is_empty();
        self.members.get(id).is_some_and(is_done) && !self.lane.queues().has_any(id)
    }

    /// Whether anything is to be read now.
    pub(super) fn may_load(&self) -> bool {
        !self.hungry.is_empty() && self.lane.queues().all_going() < LANE_MAX
    }

    /// Reads for those who have the least in memory; attempts that end are not kept waiting for all of it.
    pub(super) async fn load(&mut self) {
        for _ in 0..READS_MAX {
            let queues = self.lane.queues();
            let Some(id) = self.hungry.iter().min_by_key(|id| queues.going(id)).filter(|_| self.may_load()).cloned() else {
                return;
            };
            self.hungry.remove(&id);
            let read = match self.read_behind(&id).await {
                Ok(()) => self.read_on(&id).await,
                fault => fault,
            };
            match read {
                Ok(()) => self.feed(&id),
                Err(fault) => {
                    tracing::warn!(%fault, subscription = &*id, "what waits for a subscription could not be read");
                    self.pause(id);
                }
            }
        }
    }

    /// Reads the next page of what waits.
    async fn read_on(&mut self, id: &Arc<str>) -> Result<(), ledger::Error> {
        let has_room = self.load_of(id).has_room_for_a_page();
        let Some(member) = self.members.get(id).filter(|member| member.more && has_room) else { return Ok(()) };
        let page = self.read(id, member.loaded, PAGE).await?;
        let more = page.len() >= PAGE;
        for notice in page {
            self.take_up(id, notice, None);
        }
        if let Some(member) = self.members.get_mut(id) {
            member.more = more;
        }
        Ok(())
    }

    /// Reads what follows in queues that have come to an end in memory.
    async fn read_behind(&mut self, id: &Arc<str>) -> Result<(), ledger::Error> {
        for _ in 0..READS_MAX {
            let may_go = self.load_of(id).may_go();
            let Some(member) = self.members.get_mut(id).filter(|_| may_go) else { break };
            let Some(key) = member.ended.pop_first() else { break };
            let room = DEPTH_MAX.saturating_sub(self.lane.queues().depth(&key));
            let Some((first, last)) = member.behind.span(&key, room) else { continue };
            let count = usize::try_from(last - first + 1).map_or(PAGE, |count| count.min(PAGE));
            match self.read(id, first - 1, count).await {
                Ok(page) => self.bring(&key, room, page, count),
                Err(fault) => {
                    if let Some(member) = self.members.get_mut(id) {
                        member.ended.insert(key);
                    }
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    /// Brings letters of a queue into memory, of a page of so many that begins with its first. Who is one with whom may have changed
    /// since they were first read: they stay in the queue that they stand in. What is not found waits no longer.
    fn bring(&mut self, key: &Key, room: usize, page: Vec<Notice>, count: usize) {
        let Some(member) = self.members.get_mut(&key.subscription) else { return };
        let read_to = page.last().filter(|_| page.len() >= count).map_or(i64::MAX, |notice| notice.number);
        let mut found: HashMap<i64, Notice> = page.into_iter().map(|notice| (notice.number, notice)).collect();
        for _ in 0..room {
            let Some(number) = member.behind.first(key).filter(|number| *number <= read_to) else { break };
            let freed = member.behind.take(key);
            member.ended.extend(freed);
            if let Some(notice) = found.remove(&number) {
                self.lane.push(Letter { person: key.person, ..letter(&key.subscription, notice, None) });
            }
        }
        self.follow(key);
    }

    async fn read(&self, id: &str, after: i64, count: usize) -> Result<Vec<Notice>, ledger::Error> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.office.ledger.waiting(&self.scope, id, after, count).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_takes_no_room_of_what_goes_and_has_a_bound_of_its_own() {
        let load = Load { members: 1, ..Load::default() };
        assert!(Load { resting: RESTING_MAX - 1, behind: BEHIND_MAX - PAGE, ..load }.has_room_for_a_page());
        for full in [
            Load { going: QUEUE_MAX, ..load },
            Load { all_going: LANE_MAX, ..load },
            Load { resting: RESTING_MAX, ..load },
            Load { behind: BEHIND_MAX, ..load },
        ] {
            assert!(!full.has_room(), "{full:?}");
        }
        assert!(!Load { behind: BEHIND_MAX - PAGE + 1, ..load }.has_room_for_a_page());
    }

    #[test]
    fn each_subscription_has_its_share_of_what_a_lane_may_keep_at_rest() {
        for members in [1, 8, 16, 30] {
            let load = Load { members, ..Load::default() };
            let most = |holds: &dyn Fn(usize) -> bool| (0..=BEHIND_MAX).rev().find(|count| holds(*count)).unwrap() + 1;
            assert!(most(&|resting| Load { resting, ..load }.has_room()) * members <= LANE_RESTING_MAX);
            assert!(most(&|behind| Load { behind, ..load }.has_room()) * members <= LANE_BEHIND_MAX);
        }
    }
}
