//! What is asked for: who, when, where, why, how, how many. Where one is a mere phrase it may be any.

use crate::semantic::question::Question;
use crate::semantic::reading::{Form, Measure};

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    let (a, b) = (a.form(), b.form());
    a != b && !may_meet(a, b) && !may_meet(b, a)
}

/// Whether a question of one form can say what one of the other does.
fn may_meet(a: Form, b: Form) -> bool {
    matches!(
        (a, b),
        (
            Form::Task | Form::Describe | Form::What | Form::List,
            Form::How | Form::What | Form::Difference | Form::Comparison,
        ) | (
            Form::Task,
            Form::List | Form::Measure(_) | Form::Describe | Form::Who | Form::When | Form::Where
        ) | (Form::What, Form::List)
            | (Form::Difference, Form::How)
            | (Form::What, Form::Measure(Measure::Much | Measure::Many | Measure::Far | Measure::Long))
    )
}
