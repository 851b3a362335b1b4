//! The few that were looked up last, so that they need not be looked up again. Who is meant is for the caller to say:
//! they are searched one after the other.

/// Most that are held.
const HELD_MAX: usize = 8;

/// So many that were looked up last; whoever came first makes room.
#[derive(Debug)]
pub struct Lately<T> {
    held: Vec<T>,
    /// Where the next one goes once there is no more room: to the oldest's place.
    oldest: usize,
}

impl<T> Lately<T> {
    /// Nothing has been looked up.
    pub const fn new() -> Self {
        Self { held: Vec::new(), oldest: 0 }
    }

    /// The one that is meant, if it is held.
    pub fn find(&self, is_it: impl FnMut(&&T) -> bool) -> Option<&T> {
        self.held.iter().find(is_it)
    }

    /// Holds one that was not.
    pub fn hold(&mut self, new: T) {
        if self.held.len() < HELD_MAX {
            return self.held.push(new);
        }
        self.held[self.oldest] = new;
        self.oldest = (self.oldest + 1) % HELD_MAX;
    }

    /// Forgets all of them.
    pub fn forget(&mut self) {
        self.held.clear();
        self.oldest = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{HELD_MAX, Lately};

    fn held(lately: &Lately<usize>) -> Vec<usize> {
        (0..HELD_MAX * 4).filter(|number| lately.find(|held| *held == number).is_some()).collect()
    }

    #[test]
    fn whoever_came_first_makes_room() {
        let mut lately = Lately::new();
        for number in 0..HELD_MAX * 3 {
            lately.hold(number);
            let oldest = (number + 1).saturating_sub(HELD_MAX);
            assert_eq!(held(&lately), (oldest..=number).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_forgotten_is_looked_up_again() {
        let mut lately = Lately::new();
        (0..HELD_MAX + 3).for_each(|number| lately.hold(number));
        lately.forget();
        assert!(held(&lately).is_empty());
        (0..=HELD_MAX).for_each(|number| lately.hold(number));
        assert_eq!(held(&lately), (1..=HELD_MAX).collect::<Vec<_>>());
    }
}
