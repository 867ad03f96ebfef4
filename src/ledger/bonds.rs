//! Since when persons are one: of each two of them the latest bond on the way from one to the other says it.

use std::collections::BTreeMap;

use super::dialect::{Cell, Row, Transaction};
use super::unions;
use super::{Error, Person};

const AMONG: &str = "SELECT b.person, b.other, b.since FROM bonds b WHERE b.tenant = $1
    AND b.person IN (SELECT p.person FROM people p WHERE p.tenant = $1 AND p.survivor = $2)";
const ADD: &str = "INSERT INTO bonds (tenant, person, other, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const DROP: &str = "DELETE FROM bonds WHERE tenant = $1
    AND person IN (SELECT p.person FROM people p WHERE p.tenant = $1 AND p.survivor = $2)";

/// So many rows are kept at most of one parting, which for two are two; of more it is kept that all were one since the first of them were.
const REMEMBERED_MAX: usize = 20_000;

/// Two are one, and so are all who were one with either of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// The one of them who is no longer known as themselves.
    pub person: Person,
    /// The other, who is older.
    pub other: Person,
    /// Since when, UTC milliseconds.
    pub since: i64,
}

/// Persons who were one until some of them were parted, the last two since then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// What it is told from others of the same moment by.
    pub name: Person,
    /// Since when, UTC milliseconds.
    pub since: i64,
    /// Who.
    pub persons: Vec<Person>,
}

/// Persons who are one by the bonds up to a time.
#[derive(Default)]
struct Cluster {
    persons: Vec<Person>,
    /// Of each group to which some of them belong from now on, one.
    groups: BTreeMap<Person, Person>,
}

/// Persons are one in groups from now on, each under its first: the bonds that hold within the groups, and who was one until now.
/// Of two who are in different groups, the first of these in which both are says since when they were.
#[must_use]
pub fn part(bonds: &[Bond], first: &BTreeMap<Person, Person>) -> (Vec<Bond>, Vec<Former>) {
    let mut bonds: Vec<Bond> = bonds.iter().copied().filter(|bond| first.contains_key(&bond.other)).collect();
    bonds.sort_by_key(|bond| (bond.since, bond.person, bond.other));
    let mut of: BTreeMap<Person, Person> = first.keys().map(|person| (*person, *person)).collect();
    let alone = |(person, first): (&Person, &Person)| {
        (*person, Cluster { persons: vec![*person], groups: BTreeMap::from([(*first, *person)]) })
    };
    let mut clusters: BTreeMap<Person, Cluster> = first.iter().map(alone).collect();
    let (mut kept, mut formers) = (Vec::new(), Vec::new());
    for Bond { person, other, since } in bonds {
        let (Some(one), Some(two)) = (of.get(&person).copied(), of.get(&other).copied()) else { continue };
        let (name, root) = (one.max(two), one.min(two));
        if name == root {
            continue;
        }
        let given_up = clusters.remove(&name).unwrap_or_default();
        let Some(cluster) = clusters.get_mut(&root) else { continue };
        for person in &given_up.persons {
            of.insert(*person, root);
        }
        cluster.persons.extend(given_up.persons);
        for (group, one) in given_up.groups {
            match cluster.groups.get(&group).copied() {
                Some(two) => kept.push(Bond { person: one.max(two), other: one.min(two), since }),
                None => drop(cluster.groups.insert(group, one)),
            }
        }
        if cluster.groups.len() > 1 {
            formers.push(Former { name, since, persons: cluster.persons.clone() });
        }
    }
    (kept, formers)
}

/// Two are one since now.
pub(super) async fn add(transaction: &mut Transaction<'_>, tenant: &str, bond: Bond) -> Result<(), Error> {
    let cells = [Cell::Text(tenant), Cell::Int(bond.person.0), Cell::Int(bond.other.0), Cell::Int(bond.since)];
    transaction.run(ADD, &cells).await
}

/// All who are known as one belong to these groups from now on. Who was one with whom, and since when, is remembered; to be called
/// while they are still known as one.
pub(super) async fn divide(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    known_as: Person,
    first: &BTreeMap<Person, Person>,
    until: i64,
) -> Result<(), Error> {
    let key = [Cell::Text(tenant), Cell::Int(known_as.0)];
    let bond = |row: &mut Row| Ok(Bond { person: Person(row.int()?), other: Person(row.int()?), since: row.int()? });
    let bonds: Vec<Bond> = transaction.rows(AMONG, &key).await?.iter_mut().map(bond).collect::<Result<_, Error>>()?;
    let (kept, mut formers) = part(&bonds, first);
    if formers.iter().map(|former| former.persons.len()).sum::<usize>() > REMEMBERED_MAX {
        let since = formers.iter().map(|former| former.since).min().unwrap_or(until);
        formers = vec![Former { name: known_as, since, persons: first.keys().copied().collect() }];
    }
    // That they were one is remembered in any case.
    if formers.iter().all(|former| former.persons.len() < first.len()) {
        formers.push(Former { name: known_as, since: until, persons: first.keys().copied().collect() });
    }
    transaction.run(DROP, &key).await?;
    for bond in kept {
        add(transaction, tenant, bond).await?;
    }
    for Former { name, since, persons } in formers {
        for person in persons {
            unions::remember(transaction, tenant, person, name, (since, until)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bond(person: i64, other: i64, since: i64) -> Bond {
        Bond { person: Person(person), other: Person(other), since }
    }

    fn groups(groups: &[&[i64]]) -> BTreeMap<Person, Person> {
        groups.iter().flat_map(|group| group.iter().map(|person| (Person(*person), Person(group[0])))).collect()
    }

    /// Since when two were one, as it is read again.
    fn since(formers: &[Former], one: i64, other: i64) -> Option<i64> {
        let has = |former: &&Former| [one, other].iter().all(|person| former.persons.contains(&Person(*person)));
        formers.iter().filter(has).map(|former| former.since).min()
    }

    #[test]
    fn each_two_were_one_since_the_latest_bond_between_them() {
        let (kept, formers) = part(&[bond(3, 1, 31), bond(2, 1, 10)], &groups(&[&[1, 3], &[2]]));
        assert_eq!((since(&formers, 1, 2), since(&formers, 2, 3)), (Some(10), Some(31)));
        assert_eq!(kept, [bond(3, 1, 31)]);

        let pairs = [bond(2, 1, 1), bond(4, 3, 2), bond(3, 1, 5)];
        let (kept, formers) = part(&pairs, &groups(&[&[1], &[2], &[3], &[4]]));
        let between = [(1, 2), (3, 4), (1, 3), (1, 4), (2, 3), (2, 4)].map(|(one, other)| since(&formers, one, other).unwrap());
        assert_eq!((between, kept.len()), ([1, 2, 5, 5, 5, 5], 0));
    }

    #[test]
    fn who_stays_one_is_so_since_before() {
        // 2 and 3 were one by 1 alone, since the later of its bonds; the one who held them together leaves.
        let (kept, formers) = part(&[bond(2, 1, 10), bond(3, 1, 20)], &groups(&[&[1], &[2, 3]]));
        assert_eq!(kept, [bond(3, 2, 20)]);
        let (kept, again) = part(&kept, &groups(&[&[2], &[3]]));
        assert_eq!((since(&formers, 1, 3), since(&again, 2, 3), kept.len()), (Some(20), Some(20), 0));
        let whole = [bond(2, 1, 10), bond(3, 1, 20)];
        assert_eq!(part(&whole, &groups(&[&[1, 2, 3]])), (whole.to_vec(), Vec::new()), "nobody is parted");
    }

    #[test]
    fn a_bond_with_somebody_else_says_nothing() {
        assert_eq!(part(&[bond(9, 1, 1), bond(2, 9, 1)], &groups(&[&[1], &[2]])), (Vec::new(), Vec::new()));
    }
}
