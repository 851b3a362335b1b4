//! Things by number. A place that was given up is taken again under another number, so that an old
//! number finds nothing rather than somebody else.

/// Names one entry, for as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    index: u32,
    /// How often the place was given up before.
    turn: u32,
}

/// Grows to the most entries there were at once, and no further.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    turn: u32,
    item: Option<T>,
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// What the next entry will be called.
    pub fn next_id(&self) -> Id {
        let index = self.free.last().copied().unwrap_or(self.slots.len() as u32);
        Id { index, turn: self.slots.get(index as usize).map_or(0, |slot| slot.turn) }
    }

    pub fn insert(&mut self, item: T) -> Id {
        let id = self.next_id();
        self.free.pop();
        match self.slots.get_mut(id.index as usize) {
            Some(slot) => slot.item = Some(item),
            None => self.slots.push(Slot { turn: 0, item: Some(item) }),
        }
        id
    }

    pub fn get(&self, id: Id) -> Option<&T> {
        self.slots.get(id.index as usize).filter(|slot| slot.turn == id.turn)?.item.as_ref()
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.turn == id.turn)?.item.as_mut()
    }

    pub fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.turn == id.turn)?;
        let item = slot.item.take()?;
        slot.turn = slot.turn.wrapping_add(1);
        self.free.push(id.index);
        Some(item)
    }
}
