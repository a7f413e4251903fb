//! What is said to Redis.

use bytes::Bytes;
use twintap_stream::command::Argument;

use super::super::super::command::Command;
use super::super::super::login::Login;
use super::{Speaker, Step};

/// Words of RESP2 and RESP3: how commands are written does not depend on which it is.
#[derive(Debug)]
pub(super) struct Redis {
    /// The commands that log in, and how many of them are not answered yet.
    login: Vec<Vec<Bytes>>,
    unanswered: usize,
    line: Vec<u8>,
}

/// The longest answer to a log-in.
const MOST_LINE: usize = 4096;

impl Redis {
    pub(super) fn new(login: &Login) -> Redis {
        let word = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let mut commands = Vec::new();
        if let Some(password) = &login.password {
            let user = login.user.as_deref().map(word);
            let words = std::iter::once(word("AUTH")).chain(user);
            commands.push(words.chain([word(password)]).collect());
        }
        if let Some(database) = &login.database {
            commands.push(vec![word("SELECT"), word(database)]);
        }
        Redis {
            unanswered: commands.len(),
            login: commands,
            line: Vec::new(),
        }
    }
}

impl Speaker for Redis {
    fn begin(&mut self) -> Step {
        match self.login.is_empty() {
            true => Step::Ready,
            false => Step::Say(
                self.login
                    .drain(..)
                    .flat_map(|words| array(&words))
                    .collect(),
            ),
        }
    }

    fn hear(&mut self, input: &[u8]) -> Result<Step, String> {
        for byte in input {
            self.line.push(*byte);
            if self.line.len() > MOST_LINE {
                return Err("the answer to the log-in never ends".to_owned());
            }
            if *byte != b'\n' {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if line.first() != Some(&b'+') {
                return Err(String::from_utf8_lossy(line.trim_ascii()).into_owned());
            }
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        Ok(match self.unanswered {
            0 => Step::Ready,
            _ => Step::Wait,
        })
    }

    fn say(&mut self, command: &Command) -> Bytes {
        let name = Bytes::copy_from_slice(command.name.as_bytes());
        let arguments = command.arguments.iter();
        let words = arguments.map(|argument| match argument {
            // Redis has no word that is no value.
            Argument::Null => Bytes::new(),
            Argument::Text(bytes) | Argument::Binary(bytes) => bytes.clone(),
            Argument::Number(digits) => Bytes::from(digits.clone()),
        });
        let mut words: Vec<Bytes> = std::iter::once(name).chain(words).collect();
        if command.name == "HELLO" {
            without_password(&mut words);
        }
        array(&words).into()
    }
}

/// An array of bulk strings.
fn array(words: &[Bytes]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Takes `AUTH user password` out of a HELLO: the connection has logged in.
fn without_password(words: &mut Vec<Bytes>) {
    let is_auth = |word: &Bytes| word.eq_ignore_ascii_case(b"AUTH");
    if let Some(place) = words.iter().position(is_auth) {
        let end = words.len().min(place + 3);
        words.drain(place..end);
    }
}

#[cfg(test)]
mod tests {
    use twintap_plan::Spoken;

    use super::*;

    fn login(user: Option<&str>, password: Option<&str>, database: Option<&str>) -> Login {
        Login {
            spoken: Spoken::Redis,
            user: user.map(str::to_owned),
            database: database.map(str::to_owned),
            password: password.map(|password| password.to_owned().into()),
        }
    }

    fn command(name: &str, arguments: &[&'static str]) -> Command {
        let argument = |text: &&'static str| Argument::Text(Bytes::from_static(text.as_bytes()));
        Command {
            name: name.to_owned(),
            statement: None,
            prepared: None,
            arguments: arguments.iter().map(argument).collect(),
            document: Bytes::new(),
        }
    }

    #[test]
    fn without_a_password_nothing_is_said_first() {
        let mut redis = Redis::new(&login(None, None, None));
        assert_eq!(redis.begin(), Step::Ready);
        let said = redis.say(&command("SET", &["a", ""]));
        assert_eq!(&said[..], b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n");
    }

    #[test]
    fn a_log_in_is_waited_for() {
        let mut redis = Redis::new(&login(Some("app"), Some("hunter2"), Some("3")));
        let expected =
            "*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$7\r\nhunter2\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n";
        assert_eq!(redis.begin(), Step::Say(expected.into()));
        assert_eq!(redis.hear(b"+OK\r"), Ok(Step::Wait));
        assert_eq!(redis.hear(b"\n+OK\r\n"), Ok(Step::Ready));
        let mut redis = Redis::new(&login(None, Some("hunter2"), None));
        redis.begin();
        let refused = redis.hear(b"-WRONGPASS invalid username-password pair\r\n");
        assert_eq!(
            refused,
            Err("-WRONGPASS invalid username-password pair".to_owned())
        );
    }

    #[test]
    fn a_hello_goes_out_without_its_password() {
        let mut redis = Redis::new(&login(None, None, None));
        let hello = command("HELLO", &["3", "auth", "app", "secret", "SETNAME", "web"]);
        let said = redis.say(&hello);
        let expected = array(&["HELLO", "3", "SETNAME", "web"].map(Bytes::from));
        assert_eq!(said, expected);
    }
}
