//! The places that a patch took something out of, followed while later operations shift and carry them: what is still empty
//! at the end goes.

use super::pointer::{Pointer, index};

/// Places that may be empty now.
#[derive(Debug, Default)]
pub(super) struct Vacated(Vec<Pointer>);

impl Vacated {
    /// Something left this place; in a list, what stood behind it moves up. Tells which places went along, as seen from it.
    pub(super) fn left(&mut self, path: &Pointer, is_list: bool) -> Vec<Vec<String>> {
        let mut along = Vec::new();
        self.0.retain_mut(|place| {
            if let Some(rest) = place.0.strip_prefix(path.0.as_slice()) {
                along.push(rest.to_vec());
                return false;
            }
            if is_list {
                shift(place, path, |at| at.saturating_sub(1));
            }
            true
        });
        self.0.extend(path.split().map(|(holder, _)| holder));
        along
    }

    /// Something came to this place, and with it what was seen from where it had been. In a list, what stood there and behind
    /// it makes room; elsewhere it is replaced.
    pub(super) fn came(&mut self, path: &Pointer, is_list: bool, along: Vec<Vec<String>>) {
        if is_list {
            for place in &mut self.0 {
                shift(place, path, |at| at + 1);
            }
        } else {
            self.0.retain(|place| !place.0.starts_with(&path.0));
        }
        self.0.extend(along.into_iter().map(|rest| Pointer([path.0.clone(), rest].concat())));
    }

    /// One of the places, taken out.
    pub(super) fn next(&mut self) -> Option<Pointer> {
        self.0.pop()
    }
}

/// Moves a place that lies at or behind a position of a list, or within what stands there.
fn shift(place: &mut Pointer, position: &Pointer, by: impl Fn(usize) -> usize) {
    let Some((last, holder)) = position.0.split_last() else { return };
    let (Some(from), true) = (index(last), place.0.starts_with(holder)) else { return };
    if let Some(step) = place.0.get_mut(holder.len())
        && let Some(at) = index(step).filter(|at| *at >= from)
    {
        *step = by(at).to_string();
    }
}
