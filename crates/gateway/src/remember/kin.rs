//! Answers to other questions that mean the same, for aliases that opt in: which questions are compared, with
//! whose vectors, and what is learned from it. What certainly differs and who accepts is the library's part.

use super::errand::Errands;
use crate::config::{self, EmbeddedBy};
use cache::key::Key;
use cache::semantic::embed::{Embedder, Lexical, Memo};
use cache::semantic::{
    Accept, Candidate, Fingerprint, Hit, Options, Outcome, Question, Semantic, Vector, Verdict, audit,
};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Vectors that are remembered.
const MEMO_TEXTS: usize = 10_000;
/// Texts that a local model embeds at once; whoever finds no turn goes without.
const TURNS: usize = 1;

/// A local model, kept for all.
type Model = Memo<Box<dyn Embedder>>;

/// Everything that is known of questions: one for the process.
pub struct Kin {
    index: Semantic,
    embedder: Box<str>,
    /// The local model, once it is read.
    model: OnceLock<Option<Arc<Model>>>,
    turns: Arc<Semaphore>,
    settings: config::CacheSemantic,
}

/// A question that may be answered by another's answer.
#[derive(Debug)]
pub struct Kindred {
    /// The partition: everything but the question itself.
    pub partition: Fingerprint,
    /// The question.
    pub question: Question,
    vector: OnceLock<Vector>,
}

/// What came of looking.
pub enum Looked {
    /// The answer to another question serves.
    Hit(Hit),
    /// It may; to be compared once this one's own answer is here.
    Candidate(Candidate),
    /// Nothing does.
    Nothing,
}

impl Kin {
    /// Knows nothing yet.
    pub fn new(settings: &config::CacheSemantic) -> Self {
        let accept = match settings.accept {
            config::Accept::Local => Accept::Local,
            config::Accept::Learned => Accept::Learned,
            config::Accept::Judge => Accept::Judge,
        };
        let share = if settings.judge.is_some() { settings.audit } else { 0.0 };
        let options = Options {
            accept,
            cosine: settings.threshold,
            error_max: settings.error_max,
            audit: audit::Options { share, error_max: settings.error_max, ..audit::Options::default() },
            ..Options::default()
        };
        let embedder = match &settings.embedder {
            EmbeddedBy::Lexical => Lexical.id().into(),
            EmbeddedBy::Folder(folder) => folder.display().to_string().into(),
            EmbeddedBy::Model(model) => model.as_str().into(),
        };
        Self {
            index: Semantic::new(options),
            embedder,
            model: OnceLock::new(),
            turns: Arc::new(Semaphore::new(TURNS)),
            settings: settings.clone(),
        }
    }

    /// The question of a text, if it is one that can be compared. `rest` is the key of everything else.
    pub fn kindred(&self, text: &str, rest: &Key) -> Option<Kindred> {
        let question = Question::read(text).ok()?;
        Some(Kindred { partition: Fingerprint::new(rest, &self.embedder), question, vector: OnceLock::new() })
    }

    /// What is counted of it.
    pub fn index(&self) -> &Semantic {
        &self.index
    }

    /// Looks for a question that means the same.
    pub async fn look(&self, kindred: &Kindred, errands: &Errands) -> Looked {
        if let Some(hit) = self.index.alias(&kindred.partition, kindred.question.text()) {
            return Looked::Hit(hit);
        }
        let Some(vector) = self.vector(kindred, errands).await else { return Looked::Nothing };
        match self.index.lookup(&kindred.partition, &kindred.question, vector) {
            Outcome::Hit(hit) => Looked::Hit(hit),
            Outcome::Candidate(candidate) => Looked::Candidate(candidate),
            Outcome::Miss(_) => Looked::Nothing,
        }
    }

    /// The answer that a hit meant is gone.
    pub fn forget(&self, kindred: &Kindred, hit: &Hit) {
        self.index.forget(&kindred.partition, hit);
    }

    /// The question's own answer is stored under `key`.
    pub async fn learn(&self, kindred: &Kindred, key: Key, errands: &Errands) {
        if let Some(vector) = self.vector(kindred, errands).await {
            self.index.insert(&kindred.partition, &kindred.question, vector, key);
        }
    }

    /// Both answers are here: whether one would have served for both. A judge is asked where there is one;
    /// otherwise equal words are taken for equal meaning, and nothing else is.
    pub async fn compare(
        &self,
        kindred: &Kindred,
        candidate: &Candidate,
        texts: (&str, &str),
        errands: &Errands,
    ) {
        let same = match &self.settings.judge {
            Some(judge) => errands.same(judge, kindred.question.text(), &candidate.text).await.ok(),
            None => Some(words(texts.0).eq(words(texts.1))),
        };
        if let Some(same) = same {
            let verdict = if same { Verdict::Same } else { Verdict::Different };
            self.index.report(candidate, verdict);
        }
    }

    /// Asks the judge whether a hit was right.
    pub async fn audit(&self, hit: &Hit, question: &str, answer: &str, errands: &Errands) {
        let Some(judge) = &self.settings.judge else { return };
        if let Ok(right) = errands.serves(judge, question, answer).await
            && self.index.audit_hit(hit, right)
        {
            let category = hit.category.name();
            tracing::warn!(
                category,
                "the semantic cache erred too often in a category and leaves it alone now"
            );
        }
    }

    async fn vector<'a>(&self, kindred: &'a Kindred, errands: &Errands) -> Option<&'a Vector> {
        if kindred.vector.get().is_none() {
            let text = kindred.question.text();
            let vector = match &self.settings.embedder {
                EmbeddedBy::Lexical => Lexical.embed_blocking(text).ok(),
                EmbeddedBy::Folder(folder) => self.locally(folder, text).await,
                EmbeddedBy::Model(model) => errands
                    .embed(model, text)
                    .await
                    .inspect_err(|failure| tracing::debug!(%failure, "a question was not embedded"))
                    .ok(),
            }?;
            let _ = kindred.vector.set(vector);
        }
        kindred.vector.get()
    }

    async fn locally(&self, folder: &Path, text: &str) -> Option<Vector> {
        if let Some(Some(model)) = self.model.get()
            && let Some(known) = model.known(text)
        {
            return Some(known);
        }
        let turn = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        let model = match self.model.get() {
            Some(model) => model.clone(),
            None => {
                let folder = folder.to_owned();
                let opened = tokio::task::spawn_blocking(move || open(&folder)).await.ok()?;
                self.model.get_or_init(|| opened).clone()
            }
        }?;
        let text = text.to_owned();
        let embedded = tokio::task::spawn_blocking(move || {
            let embedded = model.embed_blocking(&text).ok();
            drop(turn);
            embedded
        });
        embedded.await.ok()?
    }
}

/// Reads a model; `None` where it cannot be read, which is told once.
fn open(folder: &Path) -> Option<Arc<Model>> {
    match local_model(folder) {
        Ok(model) => Some(Arc::new(Memo::new(model, MEMO_TEXTS))),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "the semantic cache goes without its model");
            None
        }
    }
}

#[cfg(feature = "minilm")]
fn local_model(folder: &Path) -> Result<Box<dyn Embedder>, cache::semantic::embed::Error> {
    Ok(Box::new(cache::semantic::embed::MiniLm::open(folder)?))
}

#[cfg(not(feature = "minilm"))]
fn local_model(_: &Path) -> Result<Box<dyn Embedder>, cache::semantic::embed::Error> {
    Err(cache::semantic::embed::Error::Model("this build has no sentence models".to_owned()))
}

/// A text's words, whatever their case and whatever stands between them.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}
