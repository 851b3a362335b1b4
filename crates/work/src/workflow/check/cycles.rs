//! Steps that wait for themselves, and an order of those that do not.

use crate::workflow::fault::Findings;
use crate::workflow::read::StepDraft;

/// The steps in an order in which each comes after all that it needs, as far as there is one. Those on a
/// cycle or behind one are missing. (Kahn 1962.)
pub(super) fn order(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut left: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut followers = vec![Vec::new(); needs.len()];
    for (step, needed) in needs.iter().enumerate() {
        for need in needed {
            if let Some(list) = followers.get_mut(*need) {
                list.push(step);
            }
        }
    }
    let mut order: Vec<usize> = (0..needs.len()).filter(|step| left.get(*step) == Some(&0)).collect();
    let mut at = 0;
    while let Some(step) = order.get(at).copied() {
        at += 1;
        for follower in followers.get(step).into_iter().flatten() {
            if let Some(count) = left.get_mut(*follower) {
                *count -= 1;
                if *count == 0 {
                    order.push(*follower);
                }
            }
        }
    }
    order
}

/// Tells of cycles, each step of at most one; whether there is none.
pub(super) fn tell(steps: &[StepDraft], needs: &[Vec<usize>], faults: &mut Findings) -> bool {
    let mut needs = needs.to_vec();
    let mut none = true;
    while let Some(cycle) = find(&needs) {
        none = false;
        let name = |step: &usize| steps.get(*step).map_or("", |step| step.id.name.as_str());
        let words: Vec<String> = cycle.iter().map(|step| format!("`{}`", name(step))).collect();
        let first = cycle.first().and_then(|step| steps.get(*step));
        let closed = words.first().cloned().unwrap_or_default();
        let what = format!("a cycle: {} needs {closed}", words.join(" needs "));
        if let Some(first) = first {
            faults.add(&first.id.spot, what, "take one of these out of `needs`, or out of the branch's case");
        }
        // What it consists of is cut off, so that the next one is found.
        for step in &cycle {
            if let Some(needed) = needs.get_mut(*step) {
                needed.clear();
            }
        }
    }
    none
}

/// A cycle, from its first step in the order of the source.
fn find(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut on_cycle = vec![true; needs.len()];
    for step in order(needs) {
        if let Some(mark) = on_cycle.get_mut(step) {
            *mark = false;
        }
    }
    // Whatever is left needs something that is left: following that comes back to where it has been.
    let stuck = |step: &usize| on_cycle.get(*step).copied().unwrap_or(false);
    let mut path = vec![(0..needs.len()).find(stuck)?];
    loop {
        let last = *path.last()?;
        let next = needs.get(last)?.iter().copied().find(stuck)?;
        if let Some(start) = path.iter().position(|step| *step == next) {
            let mut cycle = path.split_off(start);
            let first = cycle.iter().enumerate().min_by_key(|(_, step)| **step).map_or(0, |(at, _)| at);
            cycle.rotate_left(first);
            return Some(cycle);
        }
        path.push(next);
    }
}
