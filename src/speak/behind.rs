//! What waits for a subscription in the ledger behind letters that are in memory: of each letter no more is kept than its number and
//! what it must not overtake.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::queue::{Key, Letter};

/// Numbers are put in as they grow, and taken out again queue by queue, each when nothing before it is left that it stands behind.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Of each queue the numbers, in order, each with the hash of its resource. A hash that two share holds one up, and loses nothing.
    queues: HashMap<Key, VecDeque<(i64, u64)>>,
    /// The numbers by resource; it may stand in several queues, since a resource may become another person's.
    resources: BTreeSet<(u64, i64)>,
    /// Firsts of their queues that stand behind another queue's number of the same resource.
    stuck: HashMap<i64, Key>,
    hasher: RandomState,
}

impl Behind {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.resources.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Whether a letter that comes now stands behind something that is here.
    pub(super) fn holds(&self, letter: &Letter) -> bool {
        self.queues.contains_key(&letter.key()) || self.first_of(self.resource(letter)).is_some()
    }

    /// Puts a letter behind all that is here.
    pub(super) fn put(&mut self, letter: &Letter) {
        let (key, resource) = (letter.key(), self.resource(letter));
        self.resources.insert((resource, letter.number));
        self.queues.entry(key.clone()).or_default().push_back((letter.number, resource));
        self.see_first(&key);
    }

    /// The first number of a queue, if it may be taken.
    pub(super) fn first(&self, key: &Key) -> Option<i64> {
        let (number, resource) = *self.queues.get(key)?.front()?;
        (self.first_of(resource) == Some(number)).then_some(number)
    }

    /// The first number of a queue that may be taken, and the last of so many from there.
    pub(super) fn span(&self, key: &Key, count: usize) -> Option<(i64, i64)> {
        let first = self.first(key)?;
        let queue = self.queues.get(key)?;
        let (last, _) = queue.get(count.min(queue.len()).checked_sub(1)?)?;
        Some((first, *last))
    }

    /// Takes the first number of a queue, if it may be taken; the queue whose first may be taken now because of it.
    pub(super) fn take(&mut self, key: &Key) -> Option<Key> {
        self.first(key)?;
        let queue = self.queues.get_mut(key)?;
        let (number, resource) = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(key);
        }
        self.resources.remove(&(resource, number));
        self.see_first(key);
        let next = self.first_of(resource)?;
        self.stuck.remove(&next)
    }

    fn see_first(&mut self, key: &Key) {
        if let Some((number, resource)) = self.queues.get(key).and_then(VecDeque::front)
            && self.first_of(*resource) != Some(*number)
        {
            self.stuck.insert(*number, key.clone());
        }
    }

    fn first_of(&self, resource: u64) -> Option<i64> {
        let (_, number) = self.resources.range((resource, i64::MIN)..=(resource, i64::MAX)).next()?;
        Some(*number)
    }

    fn resource(&self, letter: &Letter) -> u64 {
        self.hasher.hash_one((&letter.kind, &letter.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speak::tests::letter;

    fn of(resource: &str, number: i64, person: i64) -> Letter {
        Letter { id: resource.to_owned(), ..letter(number, person) }
    }

    fn behind(letters: &[Letter]) -> Behind {
        let mut behind = Behind::default();
        for letter in letters {
            behind.put(letter);
        }
        behind
    }

    fn take_all(behind: &mut Behind, key: &Key) -> (Vec<i64>, Vec<Key>) {
        let (mut taken, mut freed) = (Vec::new(), Vec::new());
        while let Some(number) = behind.first(key) {
            taken.push(number);
            freed.extend(behind.take(key));
        }
        (taken, freed)
    }

    #[test]
    fn each_person_goes_on_where_they_are() {
        let mut behind = behind(&[letter(1, 1), letter(2, 2), letter(5, 1), letter(9, 1)]);
        let (one, two) = (letter(1, 1).key(), letter(2, 2).key());
        assert!(behind.holds(&letter(10, 1)) && !behind.holds(&letter(10, 3)));
        assert_eq!((behind.span(&one, 2), behind.span(&one, 8), behind.span(&one, 0)), (Some((1, 5)), Some((1, 9)), None));
        assert_eq!(take_all(&mut behind, &one).0, [1, 5, 9]);
        assert_eq!((behind.holds(&letter(10, 1)), behind.len(), behind.first(&two)), (false, 1, Some(2)));
        assert_eq!(take_all(&mut behind, &two).0, [2]);
        assert!(behind.is_empty() && behind.span(&two, 1).is_none());
    }

    #[test]
    fn no_resource_overtakes_itself_from_one_person_to_another() {
        let (a, b, c) = (letter(0, 1).key(), letter(0, 2).key(), letter(0, 3).key());
        let mut behind = behind(&[of("x", 1, 1), of("x", 2, 2), of("y", 3, 2), of("y", 4, 3), of("x", 5, 3), of("x", 6, 1)]);
        assert!(behind.holds(&of("x", 7, 4)) && !behind.holds(&of("z", 7, 4)));
        assert_eq!((behind.first(&b), behind.first(&c)), (None, None));
        assert_eq!(take_all(&mut behind, &a), (vec![1], vec![b.clone()]));
        assert_eq!(take_all(&mut behind, &b), (vec![2, 3], vec![c.clone()]));
        assert_eq!(take_all(&mut behind, &c), (vec![4, 5], vec![a.clone()]));
        assert_eq!(take_all(&mut behind, &a), (vec![6], vec![]));
        assert!(behind.is_empty() && behind.stuck.is_empty() && behind.queues.is_empty());
    }
}
