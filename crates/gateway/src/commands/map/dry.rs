//! The dry run: every row is read and made into its request, and nothing is sent.

use std::process::ExitCode;

use rig::load::units;
use serde_json::json;
use wire::openai::{OUTPUT_TOKENS_DEFAULT, Request};

use super::super::config::print;
use super::super::progress::Progress;
use super::super::refusal::Refusal;
use super::Plan;
use super::ahead::ready;
use super::args::{Args, Dollars, SummaryForm};
use super::extent::Extent;
use super::source::Source;
use super::tally::dollars;
use crate::config::{Config, Sources};

/// What the requests would come to.
#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    rows: u64,
    faulty: u64,
    input_tokens: u64,
    output_tokens: u64,
}

/// Reads all of the input.
pub(super) fn run(args: &Args, plan: &Plan) -> Result<ExitCode, Refusal> {
    let price = args.price()?;
    let unreadable = |error| Refusal::Failed(format!("{}: {error}", args.file.display()));
    let mut source = Source::open(&args.file, plan.format, Extent::default()).map_err(unreadable)?;
    let (mut estimate, mut shown) = (Estimate::default(), 0);
    let mut faults = Progress::none();
    while let Some((row, fault)) = source.next().map_err(unreadable)? {
        if args.limit.is_some_and(|limit| row.number >= limit) {
            break;
        }
        estimate.rows += 1;
        let line = row.line;
        match ready(&plan.recipe, row, fault).body {
            Ok(body) => {
                estimate.count(&Request::parse(plan.recipe.operation, &body));
                if shown < args.sample.unwrap_or(0) {
                    shown += 1;
                    show(line, &body);
                }
            }
            Err(fault) => {
                estimate.faulty += 1;
                if !args.quiet {
                    faults.fault(&format!("{}:{line}: {}", args.file.display(), fault.message));
                }
            }
        }
    }
    match args.summary {
        _ if args.quiet => {}
        SummaryForm::Json => {
            print(&format!("{:#}\n", estimate.to_json(price)));
        }
        SummaryForm::Text => {
            print(&estimate.summary(price));
        }
    }
    Ok(if estimate.faulty == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows a request, on stderr: a summary for machines stays whole.
fn show(line: u64, body: &[u8]) {
    let text: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    eprintln!("line {line}: {:#}", text.unwrap_or_default());
}

impl Estimate {
    fn count(&mut self, request: &Result<Request<'_>, wire::Failure>) {
        if let Ok(request) = request {
            let tokens = request.tokens_expected();
            self.input_tokens += tokens.input;
            self.output_tokens += tokens.output;
        }
    }

    /// In millionths of a dollar.
    fn cost(&self, price: Dollars) -> u64 {
        // A dollar for a million is a millionth for one.
        (self.input_tokens as f64 * price.input + self.output_tokens as f64 * price.output).ceil() as u64
    }

    fn summary(&self, price: Option<Dollars>) -> String {
        let count = units::count;
        let (rows, faulty, asked) = (self.rows, self.faulty, self.rows - self.faulty);
        let cost = match price {
            Some(price) => format!("at most {}", dollars(self.cost(price))),
            None => {
                "unknown: no price in the configuration; name its file with --config, or say --price IN,OUT"
                    .to_owned()
            }
        };
        format!(
            "{} rows, {} to ask, {} faulty; nothing was sent\n\
             tokens  about {} read, at most {} written ({OUTPUT_TOKENS_DEFAULT} an answer where no max_tokens bounds it)\n\
             cost    {cost}\n",
            count(rows),
            count(asked),
            count(faulty),
            count(self.input_tokens),
            count(self.output_tokens),
        )
    }

    fn to_json(self, price: Option<Dollars>) -> serde_json::Value {
        json!({
            "dry_run": true,
            "rows": self.rows,
            "requests": self.rows - self.faulty,
            "faulty": self.faulty,
            "input_tokens": self.input_tokens,
            "output_tokens_max": self.output_tokens,
            "cost_usd_max": price.map(|price| self.cost(price) as f64 / 1e6),
        })
    }
}

impl Args {
    /// What the model costs: as the flag says, or a configuration; the dearest of an alias' targets.
    fn price(&self) -> Result<Option<Dollars>, Refusal> {
        if self.price.is_some() {
            return Ok(self.price);
        }
        match Config::load(&Sources::of_process(self.config.clone())) {
            Ok(loaded) => Ok(price_of(&loaded.config, &self.model)),
            // A file that nobody named need not be ours.
            Err(_) if self.config.is_none() => Ok(None),
            Err(faults) => Err(Refusal::Configuration(faults, None)),
        }
    }
}

fn price_of(config: &Config, model: &str) -> Option<Dollars> {
    let targets: Vec<(&str, &str)> = match config.models.get(model) {
        Some(alias) => alias.targets.iter().map(|target| (&*target.provider, &*target.model)).collect(),
        None => model.split_once('/').into_iter().collect(),
    };
    let prices =
        targets.iter().filter_map(|(provider, model)| config.providers.get(*provider)?.prices.get(*model));
    prices
        .map(|price| Dollars { input: price.input, output: price.output })
        .max_by(|one, other| (one.input + one.output).total_cmp(&(other.input + other.output)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn an_alias_costs_what_its_dearest_target_does() {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let text = "
            [providers.a]
            preset = 'openai-compatible'
            base_url = 'http://127.0.0.1:1/v1'
            prices = { 'm/1' = { input = 1.0, output = 2.0 }, n = { input = 3.0, output = 4.0 } }
            [models.both]
            targets = [{ model = 'a/m/1' }, { model = 'a/n' }, { model = 'a/unpriced' }]
        ";
        std::fs::write(file.path(), text).unwrap();
        let config =
            Config::load(&Sources { path: Some(file.path().into()), ..Sources::default() }).unwrap().config;
        for (model, price) in [
            ("a/m/1", Some((1.0, 2.0))),
            ("both", Some((3.0, 4.0))),
            ("a/x", None),
            ("x", None),
            ("x/y", None),
        ] {
            let found = price_of(&config, model).map(|price| (price.input, price.output));
            assert_eq!(found, price, "{model}");
        }
    }

    #[test]
    fn the_estimate_counts_what_is_read_and_what_may_be_written() {
        let mut estimate = Estimate { rows: 3, faulty: 1, ..Estimate::default() };
        let body = br#"{"model":"m","messages":[{"role":"user","content":"Hello!"}],"max_tokens":10}"#;
        for _ in 0..2 {
            estimate.count(&Request::parse(wire::Operation::ChatCompletions, body));
        }
        assert_eq!((estimate.input_tokens, estimate.output_tokens), (18, 20));
        let price = Dollars { input: 1.0, output: 10.0 };
        assert_eq!(estimate.cost(price), 218);
        let told = estimate.summary(Some(price));
        assert!(told.contains("3 rows, 2 to ask, 1 faulty") && told.contains("at most $0.000218"), "{told}");
        assert!(estimate.summary(None).contains("--price"));
        assert_eq!(estimate.to_json(None)["cost_usd_max"], serde_json::Value::Null);
    }
}
