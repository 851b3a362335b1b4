//! Drafts → a definition: names are resolved, and what steps mean to one another is judged. Unknown steps,
//! ids that are there twice, cycles, and expressions that read what may not be there yet.

mod cycles;

use std::collections::BTreeMap;

use super::definition::{Branch, Definition, Kind, Step};
use super::fault::{Findings, suggest};
use super::read::{Draft, Named, Place, StepDraft, Use};

/// The definition, if nothing is wrong with it.
pub(super) fn resolve(draft: Draft, faults: &mut Findings) -> Option<Definition> {
    let names = Names::of(&draft.steps, faults);
    let chosen_by = choosers(&draft.steps, &names, faults);
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(draft.steps.len());
    for (step, chooser) in draft.steps.iter().zip(&chosen_by) {
        let mut own: Vec<usize> = step.needs.iter().filter_map(|named| names.find(named, faults)).collect();
        own.extend(*chooser);
        own.sort_unstable();
        own.dedup();
        needs.push(own);
    }
    let acyclic = cycles::tell(&draft.steps, &needs, faults);
    if acyclic {
        tell_reads(&draft, &names, &Upstream::of(&needs), faults);
    }
    let signals = signals(&draft.steps, faults);
    tell_itself(&draft, faults);
    if !faults.is_empty() {
        return None;
    }
    let mut followers = vec![Vec::new(); needs.len()];
    for (step, needed) in needs.iter().enumerate() {
        for need in needed {
            if let Some(list) = followers.get_mut(*need) {
                list.push(step);
            }
        }
    }
    let mut steps = Vec::with_capacity(needs.len());
    for ((step, needs), chosen_by) in draft.steps.into_iter().zip(needs).zip(chosen_by) {
        steps.push(finished(step, needs, chosen_by, &names)?);
    }
    let output_reads = names.read(&draft.output_uses);
    let Draft { name, description, input, output, .. } = draft;
    Some(Definition { name, description, input, steps, output, output_reads, followers, signals })
}

/// Steps by id.
struct Names(BTreeMap<String, usize>);

impl Names {
    fn of(steps: &[StepDraft], faults: &mut Findings) -> Self {
        let mut names = BTreeMap::new();
        for (place, step) in steps.iter().enumerate() {
            if names.contains_key(&step.id.name) {
                let what = format!("the id `{}` is there twice", step.id.name);
                faults.add(&step.id.spot, what, "give this step another id");
            } else {
                names.insert(step.id.name.clone(), place);
            }
        }
        Self(names)
    }

    fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    fn find(&self, named: &Named, faults: &mut Findings) -> Option<usize> {
        let found = self.get(&named.name);
        if found.is_none() {
            let mend = suggest(&named.name, self.0.keys().map(String::as_str), "");
            faults.add(&named.spot, format!("unknown step `{}`", named.name), mend);
        }
        found
    }

    /// The steps that are read.
    fn read(&self, uses: &[Use]) -> Vec<usize> {
        let mut places: Vec<usize> =
            uses.iter().flat_map(|read| &read.reads.steps).filter_map(|name| self.get(name)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    fn places(&self, named: &[Named]) -> Vec<usize> {
        named.iter().filter_map(|named| self.get(&named.name)).collect()
    }
}

/// Which branch decides on each step.
fn choosers(steps: &[StepDraft], names: &Names, faults: &mut Findings) -> Vec<Option<usize>> {
    let mut choosers: Vec<Option<usize>> = vec![None; steps.len()];
    for (branch, step) in steps.iter().enumerate() {
        for named in step.cases.iter().flatten() {
            let Some(place) = names.find(named, faults) else { continue };
            let Some(chooser) = choosers.get_mut(place) else { continue };
            match chooser.replace(branch) {
                Some(other) if other != branch => {
                    let other = steps.get(other).map_or("", |step| step.id.name.as_str());
                    let what = format!("`{}` is decided on by the branch `{other}` too", named.name);
                    faults.add(&named.spot, what, "name it in one branch, and give it `when` for the rest");
                }
                _ => {}
            }
        }
    }
    choosers
}

/// Which steps must have ended before each, directly or not.
struct Upstream(Vec<Vec<bool>>);

impl Upstream {
    /// Of a graph without cycles.
    fn of(needs: &[Vec<usize>]) -> Self {
        let mut upstream = vec![vec![false; needs.len()]; needs.len()];
        for step in cycles::order(needs) {
            let mut above = vec![false; needs.len()];
            for need in needs.get(step).into_iter().flatten() {
                for (mark, theirs) in above.iter_mut().zip(upstream.get(*need).into_iter().flatten()) {
                    *mark |= *theirs;
                }
                if let Some(mark) = above.get_mut(*need) {
                    *mark = true;
                }
            }
            if let Some(row) = upstream.get_mut(step) {
                *row = above;
            }
        }
        Self(upstream)
    }

    fn contains(&self, step: usize, above: usize) -> bool {
        self.0.get(step).and_then(|row| row.get(above)).copied().unwrap_or(false)
    }
}

fn tell_reads(draft: &Draft, names: &Names, upstream: &Upstream, faults: &mut Findings) {
    let steps = draft.steps.iter().enumerate().flat_map(|(place, step)| {
        step.uses.iter().map(move |read| (Some((place, step.id.name.as_str())), read))
    });
    for (step, read) in steps.chain(draft.output_uses.iter().map(|read| (None, read))) {
        tell_names(draft, read, faults);
        for name in &read.reads.steps {
            let Some(place) = names.get(name) else {
                let mend = suggest(name, names.0.keys().map(String::as_str), "");
                faults.add(&read.spot, format!("unknown step `{name}`"), mend);
                continue;
            };
            let Some((own, own_name)) = step else { continue };
            if own == place && read.place != Place::Undo {
                faults.add(&read.spot, format!("`{name}` reads its own output"), "read another step's");
            } else if own != place && !upstream.contains(own, place) {
                let what =
                    format!("`{name}` is not upstream of `{own_name}`: its output may not be there yet");
                faults.add(&read.spot, what, format!("add `{name}` to the `needs` of `{own_name}`"));
            }
        }
    }
}

fn tell_names(draft: &Draft, read: &Use, faults: &mut Findings) {
    for name in read.reads.inputs.iter().filter(|name| !draft.input.knows(name)) {
        let mend = suggest(name, draft.input.names(), "add it to `input`");
        faults.add(&read.spot, format!("the input has no field `{name}`"), mend);
    }
    if let Some(name) = read.reads.item.filter(|_| read.place != Place::Item) {
        let mend = "use it in the `step` of a map alone";
        faults.add(&read.spot, format!("there is no `{name}` here"), mend);
    }
}

/// Which step waits for each signal: one, so that a signal is never taken by the wrong one.
fn signals(steps: &[StepDraft], faults: &mut Findings) -> BTreeMap<String, usize> {
    let mut signals = BTreeMap::new();
    for (place, step) in steps.iter().enumerate() {
        let Some(Kind::Wait(wait)) = &step.kind else { continue };
        if signals.insert(wait.signal.clone(), place).is_some() {
            let what = format!("two steps wait for the signal `{}`", wait.signal);
            faults.add(&step.id.spot, what, "give each signal a name of its own");
        }
    }
    signals
}

fn tell_itself(draft: &Draft, faults: &mut Findings) {
    for step in &draft.steps {
        let child = step.kind.as_ref().and_then(Kind::child);
        if child.is_some_and(|child| child.workflow == draft.name) {
            let what = format!("`{}` starts the workflow that it is part of", step.id.name);
            faults.add(&step.id.spot, what, "name another workflow");
        }
    }
}

fn finished(draft: StepDraft, needs: Vec<usize>, chosen_by: Option<usize>, names: &Names) -> Option<Step> {
    let (undo, own): (Vec<Use>, Vec<Use>) =
        draft.uses.into_iter().partition(|read| read.place == Place::Undo);
    let (reads, undo_reads) = (names.read(&own), names.read(&undo));
    let kind = match (draft.kind?, draft.cases.split_last()) {
        (Kind::Branch(branch), Some((otherwise, named))) => {
            let cases = branch.cases.into_iter().zip(named);
            let cases = cases.map(|(mut case, named)| {
                case.steps = names.places(named);
                case
            });
            Kind::Branch(Branch { cases: cases.collect(), otherwise: names.places(otherwise) })
        }
        (kind, _) => kind,
    };
    Some(Step {
        id: draft.id.name,
        description: draft.description,
        kind,
        needs,
        chosen_by,
        when: draft.when,
        on_error: draft.on_error,
        compensate: draft.compensate,
        reads,
        undo_reads,
    })
}

#[cfg(test)]
mod tests;
