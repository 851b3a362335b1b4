//! What an expression reads, told before it is ever evaluated; and that it keeps to what is allowed.

use std::collections::BTreeSet;

use minijinja::Error;
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{parse, parse_expr};

use super::environment::{FILTERS, FUNCTIONS, TESTS};
use super::{EXPRESSION_BYTES_MAX, Wrong};
use crate::workflow::fault::suggest;

/// Most operators that put text or lists together, in one expression: each may double what there is.
const JOINS_MAX: usize = 64;
/// What can be read of a step.
const STEP_FIELDS: [&str; 3] = ["output", "state", "error"];
/// Filters that give numbers.
const NUMERIC: [&str; 6] = ["int", "float", "length", "count", "abs", "round"];

/// What an expression reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::workflow) struct Reads {
    /// Ids of steps.
    pub(in crate::workflow) steps: BTreeSet<String>,
    /// Fields of the input.
    pub(in crate::workflow) inputs: BTreeSet<String>,
    /// `item` or `index`.
    pub(in crate::workflow) item: Option<&'static str>,
}

impl Reads {
    pub(super) fn of_expression(source: &str) -> Result<Self, Wrong> {
        bounded(source)?;
        let expression = parse_expr(source).map_err(|error| syntax(&error))?;
        let mut walk = Walk::default();
        walk.expression(&expression)?;
        Ok(walk.reads)
    }

    pub(super) fn of_text(source: &str) -> Result<Self, Wrong> {
        bounded(source)?;
        let text = parse(source, "text", Default::default()).map_err(|error| syntax(&error))?;
        let mut walk = Walk::default();
        walk.statement(&text)?;
        Ok(walk.reads)
    }
}

fn bounded(source: &str) -> Result<(), Wrong> {
    if source.len() <= EXPRESSION_BYTES_MAX {
        return Ok(());
    }
    Err(Wrong::new(
        "an expression or text with expressions is longer than 64 KiB",
        "pass long text in the input",
    ))
}

fn syntax(error: &Error) -> Wrong {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
    Wrong::new(format!("not an expression: {detail}"), "see https://jinja.palletsprojects.com/templates")
}

#[derive(Default)]
struct Walk<'a> {
    reads: Reads,
    /// Names that loops have bound.
    locals: Vec<&'a str>,
    joins: usize,
}

impl<'a> Walk<'a> {
    fn statements(&mut self, statements: &[Stmt<'a>]) -> Result<(), Wrong> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'a>) -> Result<(), Wrong> {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::IfCond(cond) => {
                self.expression(&cond.expr)?;
                self.statements(&cond.true_body)?;
                self.statements(&cond.false_body)
            }
            Stmt::ForLoop(each) => {
                self.expression(&each.iter)?;
                let outside = self.locals.len();
                self.locals.push("loop");
                self.bind(&each.target);
                each.filter_expr.iter().try_for_each(|filter| self.expression(filter))?;
                self.statements(&each.body)?;
                self.locals.truncate(outside);
                self.statements(&each.else_body)
            }
            _ => Err(Wrong::new(
                "a statement that is not allowed here",
                "use `{{ … }}`, `{% if … %}` and `{% for … %}` alone",
            )),
        }
    }

    fn bind(&mut self, target: &Expr<'a>) {
        match target {
            Expr::Var(var) => self.locals.push(var.id),
            Expr::List(list) => list.items.iter().for_each(|item| self.bind(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.bind(item)),
            _ => {}
        }
    }

    fn expressions<'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr<'a>>) -> Result<(), Wrong>
    where
        'a: 'e,
    {
        expressions.into_iter().try_for_each(|expression| self.expression(expression))
    }

    fn expression(&mut self, expression: &Expr<'a>) -> Result<(), Wrong> {
        match expression {
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => self.path(expression),
            Expr::Const(_) => Ok(()),
            Expr::Slice(slice) => {
                self.expression(&slice.expr)?;
                self.expressions([&slice.start, &slice.stop, &slice.step].into_iter().flatten())
            }
            Expr::UnaryOp(unary) => self.expression(&unary.expr),
            Expr::BinOp(binary) => {
                self.operator(&binary.op, &binary.left, &binary.right)?;
                self.expressions([&binary.left, &binary.right])
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr)?;
                self.expressions(compare.ops.iter().map(|op| &op.expr))
            }
            Expr::IfExpr(choice) => {
                self.expressions([&choice.test_expr, &choice.true_expr])?;
                self.expressions(&choice.false_expr)
            }
            Expr::Filter(filter) => {
                known("filter", filter.name, &FILTERS)?;
                self.expressions(&filter.expr)?;
                self.arguments(&filter.args)
            }
            Expr::Test(test) => {
                known("test", test.name, &TESTS)?;
                self.expression(&test.expr)?;
                self.arguments(&test.args)
            }
            Expr::Call(call) => {
                let Expr::Var(function) = &call.expr else {
                    return Err(Wrong::new(
                        "there are no methods here",
                        "use a filter: `{{ name | upper }}`",
                    ));
                };
                known("function", function.id, &FUNCTIONS)?;
                self.arguments(&call.args)
            }
            Expr::List(list) => self.expressions(&list.items),
            Expr::Tuple(tuple) => self.expressions(&tuple.items),
            Expr::Map(map) => {
                self.expressions(&map.keys)?;
                self.expressions(&map.values)
            }
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'a>]) -> Result<(), Wrong> {
        self.expressions(arguments.iter().map(|argument| match argument {
            CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value) => value,
        }))
    }

    fn operator(&mut self, kind: &BinOpKind, left: &Expr<'a>, right: &Expr<'a>) -> Result<(), Wrong> {
        match kind {
            BinOpKind::Mul if !(is_number(left) && is_number(right)) => {
                let mend = "write `(… | int)` or `(… | float)` on both sides";
                Err(Wrong::new("`*` takes what is written as a number", mend))
            }
            BinOpKind::Add | BinOpKind::Concat => {
                self.joins += 1;
                if self.joins <= JOINS_MAX {
                    return Ok(());
                }
                Err(Wrong::new(
                    format!("more than {JOINS_MAX} of `+` and `~`"),
                    "write text with `{{ … }}` in it",
                ))
            }
            _ => Ok(()),
        }
    }

    /// A name and what is read of it: `steps.fetch.output`.
    fn path(&mut self, expression: &Expr<'a>) -> Result<(), Wrong> {
        let mut fields = Vec::new();
        let mut at = expression;
        loop {
            match at {
                Expr::GetAttr(get) => {
                    fields.push(Some(get.name.to_owned()));
                    at = &get.expr;
                }
                Expr::GetItem(get) => {
                    let field = match &get.subscript_expr {
                        Expr::Const(field) => field.value.as_str().map(ToOwned::to_owned),
                        _ => None,
                    };
                    fields.push(field);
                    self.expression(&get.subscript_expr)?;
                    at = &get.expr;
                }
                Expr::Var(var) => {
                    fields.reverse();
                    return self.name(var.id, &fields);
                }
                other => return self.expression(other),
            }
        }
    }

    fn name(&mut self, name: &str, fields: &[Option<String>]) -> Result<(), Wrong> {
        if self.locals.contains(&name) {
            return Ok(());
        }
        let field = |index: usize| fields.get(index).and_then(Option::as_deref);
        match name {
            "steps" => {
                let (Some(step), Some(part)) = (field(0), field(1)) else {
                    let what = "`steps` without a step's name and what is read of it";
                    return Err(Wrong::new(what, "write `steps.NAME.output`"));
                };
                if !STEP_FIELDS.contains(&part) {
                    let what = format!("`steps.{step}.{part}` is nothing that can be read");
                    return Err(Wrong::new(what, suggest(part, STEP_FIELDS, "")));
                }
                self.reads.steps.insert(step.to_owned());
            }
            "input" => self.reads.inputs.extend(field(0).map(ToOwned::to_owned)),
            "item" => self.reads.item = Some("item"),
            "index" => self.reads.item = Some("index"),
            "run" if matches!(field(0), Some("id" | "workflow")) => {}
            "run" => return Err(Wrong::new("of `run` there are `id` and `workflow`", "write `run.id`")),
            _ => {
                let mend = suggest(name, ["input", "steps", "item", "index", "run"], "");
                return Err(Wrong::new(format!("unknown name `{name}`"), mend));
            }
        }
        Ok(())
    }
}

fn known(what: &str, name: &str, names: &[&str]) -> Result<(), Wrong> {
    if names.contains(&name) {
        return Ok(());
    }
    Err(Wrong::new(format!("unknown {what} `{name}`"), suggest(name, names.iter().copied(), "")))
}

/// Whether it gives a number whatever it reads.
fn is_number(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => constant.value.is_number(),
        Expr::Filter(filter) => NUMERIC.contains(&filter.name),
        Expr::UnaryOp(unary) => is_number(&unary.expr),
        Expr::BinOp(binary) => {
            let arithmetic = matches!(
                binary.op,
                BinOpKind::Add
                    | BinOpKind::Sub
                    | BinOpKind::Mul
                    | BinOpKind::Div
                    | BinOpKind::FloorDiv
                    | BinOpKind::Rem
                    | BinOpKind::Pow
            );
            arithmetic && is_number(&binary.left) && is_number(&binary.right)
        }
        Expr::Var(var) => var.id == "index",
        Expr::GetAttr(get) => {
            matches!((&get.expr, get.name), (Expr::Var(var), "index" | "index0") if var.id == "loop")
        }
        _ => false,
    }
}
