//! What is said to PostgreSQL (its documentation, part "Frontend/Backend Protocol").

use std::collections::HashMap;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;
use twintap_stream::command::Argument;

use super::super::super::command::Command;
use super::super::super::login::Login;
use super::{Speaker, Step};

/// The longest answer to a log-in, as far as it was not read.
const MOST_HEARD: usize = 64 << 10;

/// Simple queries as such, and what was prepared by Parse, Bind and Execute: parameters and
/// results as text, whatever the recorded client chose.
pub(super) struct Postgres {
    login: Login,
    heard: BytesMut,
    scram: Option<ScramSha256>,
    /// The statements that the connection has prepared, by their names.
    prepared: HashMap<String, Bytes>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("login", &self.login)
            .field("prepared", &self.prepared.len())
            .finish_non_exhaustive()
    }
}

impl Postgres {
    pub(super) fn new(login: &Login) -> Postgres {
        Postgres {
            login: login.clone(),
            heard: BytesMut::new(),
            scram: None,
            prepared: HashMap::new(),
        }
    }

    fn user(&self) -> &str {
        self.login.user.as_deref().unwrap_or_default()
    }

    fn password(&self) -> Result<&str, String> {
        let password = self.login.password.as_ref();
        let password = password.map(|password| password.as_str());
        password.ok_or_else(|| "it asks for a password: name one by `password_env`".to_owned())
    }

    /// Answers a message of the log-in into `out`; true once it is over.
    fn answer(&mut self, message: Message, out: &mut BytesMut) -> Result<bool, String> {
        let unsound = |error: io::Error| error.to_string();
        match message {
            Message::AuthenticationCleartextPassword => {
                frontend::password_message(self.password()?.as_bytes(), out).map_err(unsound)?;
            }
            Message::AuthenticationMd5Password(body) => {
                let password = self.password()?.as_bytes();
                let hash = md5_hash(self.user().as_bytes(), password, body.salt());
                frontend::password_message(hash.as_bytes(), out).map_err(unsound)?;
            }
            Message::AuthenticationSasl(body) => {
                let mut mechanisms = body.mechanisms();
                let mut is_known = false;
                while let Some(mechanism) = mechanisms.next().map_err(unsound)? {
                    is_known |= mechanism == SCRAM_SHA_256;
                }
                if !is_known {
                    return Err("it asks for a log-in other than by SCRAM-SHA-256".to_owned());
                }
                let binding = ChannelBinding::unsupported();
                let scram = ScramSha256::new(self.password()?.as_bytes(), binding);
                let first = scram.message();
                frontend::sasl_initial_response(SCRAM_SHA_256, first, out).map_err(unsound)?;
                self.scram = Some(scram);
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram = self.scram.as_mut().ok_or("an answer to no log-in")?;
                scram.update(body.data()).map_err(unsound)?;
                frontend::sasl_response(scram.message(), out).map_err(unsound)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let scram = self.scram.as_mut().ok_or("an answer to no log-in")?;
                scram.finish(body.data()).map_err(unsound)?;
            }
            Message::AuthenticationGss
            | Message::AuthenticationKerberosV5
            | Message::AuthenticationScmCredential
            | Message::AuthenticationSspi => {
                return Err("it asks for a log-in other than by password".to_owned());
            }
            Message::ErrorResponse(body) => return Err(said(body.fields())),
            Message::ReadyForQuery(_) => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn write(&mut self, command: &Command, out: &mut BytesMut) -> io::Result<()> {
        let statement = command.statement.clone().unwrap_or_default();
        // What assembles commands lets no other statement through.
        let text = std::str::from_utf8(&statement).map_err(io::Error::other)?;
        let name = command.prepared.as_deref().unwrap_or_default();
        match command.name.as_str() {
            "Query" => return frontend::query(text, out),
            "Parse" => self.prepare(name, &statement, text, true, out)?,
            "Describe" => {
                self.prepare(name, &statement, text, false, out)?;
                frontend::describe(b'S', name, out)?;
            }
            "Bind" | "Execute" => {
                self.prepare(name, &statement, text, false, out)?;
                bind(name, &command.arguments, out)?;
                frontend::describe(b'P', "", out)?;
                if command.name == "Execute" {
                    frontend::execute("", 0, out)?;
                }
            }
            "Close" => {
                self.prepared.remove(name);
                frontend::close(b'S', name, out)?;
            }
            _ => {}
        }
        frontend::sync(out);
        Ok(())
    }

    /// Prepares the statement where the connection has none of that name and text.
    fn prepare(
        &mut self,
        name: &str,
        statement: &Bytes,
        text: &str,
        is_asked_for: bool,
        out: &mut BytesMut,
    ) -> io::Result<()> {
        // The one without a name goes with the next.
        if !name.is_empty() {
            let before = self.prepared.insert(name.to_owned(), statement.clone());
            match before {
                Some(before) if before == *statement && !is_asked_for => return Ok(()),
                Some(_) if !is_asked_for => frontend::close(b'S', name, out)?,
                _ => {}
            }
        }
        frontend::parse(name, text, [], out)
    }
}

impl Speaker for Postgres {
    fn begin(&mut self) -> Step {
        let mut out = BytesMut::new();
        let user = [("user", self.user())];
        let database = self.login.database.as_deref();
        let database = database.map(|database| ("database", database));
        let parameters = user.into_iter().chain(database);
        let parameters = parameters.chain([("client_encoding", "UTF8")]);
        match frontend::startup_message(parameters, &mut out) {
            Ok(()) => Step::Say(out.to_vec()),
            // A run file has no text with a zero byte: then nothing is said, and it times out.
            Err(_) => Step::Wait,
        }
    }

    fn hear(&mut self, input: &[u8]) -> Result<Step, String> {
        self.heard.put_slice(input);
        if self.heard.len() > MOST_HEARD {
            return Err("the answer to the log-in never ends".to_owned());
        }
        let mut out = BytesMut::new();
        while let Some(message) =
            Message::parse(&mut self.heard).map_err(|error| error.to_string())?
        {
            if self.answer(message, &mut out)? {
                return Ok(Step::Ready);
            }
        }
        Ok(match out.is_empty() {
            true => Step::Wait,
            false => Step::Say(out.to_vec()),
        })
    }

    fn say(&mut self, command: &Command) -> Bytes {
        let mut out = BytesMut::new();
        if self.write(command, &mut out).is_err() {
            // It can't be said; Sync is answered, and by nothing that production answered.
            out.clear();
            frontend::sync(&mut out);
        }
        out.freeze()
    }
}

/// Binds parameters: as text but for what is in the binary form of its type.
fn bind(name: &str, arguments: &[Argument], out: &mut BytesMut) -> io::Result<()> {
    let is_binary = |argument: &Argument| i16::from(matches!(argument, Argument::Binary(_)));
    let write = |argument: &Argument, out: &mut BytesMut| {
        match argument {
            Argument::Null => return Ok(IsNull::Yes),
            Argument::Text(bytes) | Argument::Binary(bytes) => out.put_slice(bytes),
            Argument::Number(digits) => out.put_slice(digits.as_bytes()),
        }
        Ok(IsNull::No)
    };
    let formats: Vec<i16> = arguments.iter().map(is_binary).collect();
    let bound = frontend::bind("", name, formats, arguments, write, [0], out);
    bound.map_err(|error| match error {
        frontend::BindError::Conversion(error) => io::Error::other(error),
        frontend::BindError::Serialization(error) => error,
    })
}

/// The code and the message of an error.
fn said(mut fields: ErrorFields<'_>) -> String {
    let (mut code, mut message) = (String::new(), String::new());
    while let Ok(Some(field)) = fields.next() {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = text(),
            b'M' => message = text(),
            _ => {}
        }
    }
    format!("{code} {message}")
}

#[cfg(test)]
mod tests {
    use twintap_plan::Spoken;

    use super::*;

    fn postgres(password: Option<&str>) -> Postgres {
        Postgres::new(&Login {
            spoken: Spoken::Postgres,
            user: Some("app".to_owned()),
            database: Some("shop".to_owned()),
            password: password.map(|password| password.to_owned().into()),
        })
    }

    fn command(name: &str, prepared: &str, statement: &'static str) -> Command {
        Command {
            name: name.to_owned(),
            statement: Some(Bytes::from_static(statement.as_bytes())),
            prepared: Some(prepared.to_owned()),
            arguments: Vec::new(),
            document: Bytes::new(),
        }
    }

    /// The types of messages.
    fn types(mut bytes: &[u8]) -> String {
        let mut types = String::new();
        while let [kind, a, b, c, d, ..] = bytes {
            types.push(char::from(*kind));
            let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            bytes = &bytes[1 + len..];
        }
        types
    }

    #[test]
    fn passwords_are_given_as_they_are_asked_for() {
        let begin = b"\0\0\0\x3c\0\x03\0\0user\0app\0database\0shop\0client_encoding\0UTF8\0\0";
        let mut one = postgres(Some("hunter2"));
        let Step::Say(said) = one.begin() else {
            panic!("nothing is said");
        };
        assert_eq!(said[4..], begin[4..]);
        let clear = b"R\0\0\0\x08\0\0\0\x03";
        assert_eq!(one.hear(&clear[..5]), Ok(Step::Wait));
        let expected = b"p\0\0\0\x0chunter2\0".to_vec();
        assert_eq!(one.hear(&clear[5..]), Ok(Step::Say(expected)));
        let ready = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
        assert_eq!(one.hear(ready), Ok(Step::Ready));
        // MD5 of MD5 of password and user, and of the salt.
        let salted = b"R\0\0\0\x0c\0\0\0\x05salt";
        let Ok(Step::Say(hashed)) = postgres(Some("hunter2")).hear(salted) else {
            panic!("no password");
        };
        assert!(hashed[5..].starts_with(b"md5") && hashed.len() == 41);
        let none = postgres(None).hear(clear).expect_err("no password");
        assert!(none.contains("password_env"), "{none}");
        let refused = b"E\0\0\0\x18SFATAL\0C28P01\0Mwho\0\0";
        let why = postgres(Some("x")).hear(refused);
        assert_eq!(why, Err("28P01 who".to_owned()));
    }

    #[test]
    fn a_statement_is_prepared_once() {
        let mut one = postgres(None);
        let mut said = |command: &Command| types(&one.say(command));
        assert_eq!(said(&command("Query", "", "SELECT 1")), "Q");
        assert_eq!(said(&command("Execute", "", "SELECT 1")), "PBDES");
        assert_eq!(said(&command("Execute", "", "SELECT 1")), "PBDES");
        assert_eq!(said(&command("Parse", "s", "SELECT 1")), "PS");
        assert_eq!(said(&command("Execute", "s", "SELECT 1")), "BDES");
        assert_eq!(said(&command("Execute", "s", "SELECT 2")), "CPBDES");
        assert_eq!(said(&command("Describe", "s", "SELECT 2")), "DS");
        assert_eq!(said(&command("Close", "s", "SELECT 2")), "CS");
        assert_eq!(said(&command("Execute", "s", "SELECT 2")), "PBDES");
        assert_eq!(said(&command("Sync", "", "")), "S");
        assert_eq!(said(&command("Query", "", "SELECT '\0'")), "S");
    }
}
