//! Where the database is said to be: passwords, encryption, replicas.

use super::*;
use server::GUEST;
use store::Error;
use store::jobs::Filter;

const PASSWORD: &str = "s3cret!";

#[tokio::test]
async fn a_password_is_used_and_never_told() {
    let database = SERVER.create_database();
    SERVER.tell("postgres", &format!("CREATE ROLE {GUEST} LOGIN PASSWORD '{PASSWORD}'"));
    SERVER.tell(&database, &format!("GRANT CREATE ON SCHEMA public TO {GUEST}"));
    let url = |user: &str, password: &str, port: u16, database: &str| {
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}")
    };
    let right = url(GUEST, "s3cret%21", SERVER.port, &database);
    add(&open(Options::new(&right)).await, job("x")).await.unwrap();
    assert!(!format!("{:?}", Options::new(&right)).contains("s3cret"));

    let nobody_listens = server::program::free_port();
    for (url, is_away) in [
        (url(GUEST, "s3cret-but-wrong", SERVER.port, &database), false),
        (url(GUEST, "s3cret%21", SERVER.port, "s3cret-less"), false),
        (url(GUEST, "s3cret%21", nobody_listens, &database), true),
        (url("unknown", "s3cret%21", SERVER.port, "no such"), false),
    ] {
        let error = Postgres::open(Options::new(&url)).await.map(drop).unwrap_err();
        let text = error.to_string().replace("s3cret-less", "");
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(error.may_pass(), is_away, "{text}");
    }
}

#[tokio::test]
async fn encryption_goes_as_far_as_it_is_asked_for() {
    let database = SERVER.create_database();
    let root = SERVER.certificate();
    let root = root.display();
    let cases = [
        ("127.0.0.1", "disable".to_owned(), Some("f")),
        ("127.0.0.1", "prefer".to_owned(), Some("t")),
        ("127.0.0.1", "require".to_owned(), Some("t")),
        ("127.0.0.1", format!("verify-ca&sslrootcert={root}"), Some("t")),
        ("127.0.0.1", format!("verify-full&sslrootcert={root}"), None),
        ("localhost", format!("verify-full&sslrootcert={root}&hostaddr=127.0.0.1"), Some("t")),
        ("localhost", "verify-full&hostaddr=127.0.0.1".to_owned(), None),
        ("localhost", "verify-ca&hostaddr=127.0.0.1".to_owned(), None),
    ];
    for (number, (host, mode, encrypted)) in cases.into_iter().enumerate() {
        let port = SERVER.port;
        let user = server::USER;
        let url = format!(
            "postgres://{user}@{host}:{port}/{database}?application_name=case_{number}&sslmode={mode}"
        );
        let opened = Postgres::open(Options::new(url)).await;
        let Some(encrypted) = encrypted else {
            let error = opened.map(drop).unwrap_err();
            assert!(error.to_string().contains("certificate"), "{mode}: {error}");
            continue;
        };
        let store = Store::from(opened.unwrap_or_else(|error| panic!("{mode}: {error}")));
        add(&store, job("x")).await.unwrap();
        let sql = format!(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'case_{number}'"
        );
        assert_eq!(SERVER.tell(&database, &sql), encrypted, "{mode}");
    }
    let missing = format!("postgres://127.0.0.1/{database}?sslmode=verify-full&sslrootcert=/missing.pem");
    let error = Postgres::open(Options::new(missing)).await.map(drop).unwrap_err();
    assert!(matches!(&error, Error::Address(text) if text.contains("/missing.pem")), "{error}");
}

/// A replica that is far behind: it has the tables, and no rows.
#[tokio::test]
async fn lists_are_read_on_the_replica_while_it_is_there() {
    let (primary, replica) = (SERVER.create_database(), SERVER.create_database());
    drop(open(Options::new(SERVER.url(&replica))).await);
    let with = |replica: String| Options { replica: Some(replica), ..impatient(SERVER.url(&primary)) };

    let store = open(with(SERVER.url(&replica))).await;
    let id = add(&store, job("x")).await.unwrap();
    assert_eq!(store.jobs.list(Filter::default(), None, 9).await.unwrap(), [], "the replica is behind");
    assert!(store.jobs.get(id, None).await.unwrap().is_some(), "what is new is found all the same");
    assert_eq!(store.jobs.claim(claim(9)).await.unwrap().jobs.len(), 1);

    let nobody_listens = server::program::free_port();
    let store = open(with(format!("postgres://127.0.0.1:{nobody_listens}/{replica}"))).await;
    assert_eq!(store.jobs.list(Filter::default(), None, 9).await.unwrap().len(), 1, "the primary helps out");
}
