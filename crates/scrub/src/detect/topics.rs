//! What the words around a value, and the name of its field, speak of.

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

/// Topics, the word for each, and the words that tell of it.
macro_rules! topics {
    ($($topic:ident = $name:literal: $words:literal,)+) => {
        /// What words speak of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Topic {
            $($topic,)+
        }

        /// By topic: its name, and its words.
        const TOPICS: &[(Topic, &str, &str)] = &[$((Topic::$topic, $name, $words),)+];
    };
}

// The first that matches at a place wins, so that longer phrases stand above their words.
topics! {
    Ssn = "social security": r"ssn|social security|soc sec",
    Nino = "national insurance": r"nino|national insurance|ni (?:no|number)",
    CaSin = "social insurance": r"social insurance|sin",
    Itin = "itin": r"itin|individual taxpayer",
    AuTfn = "tax file": r"tfn|tax file",
    DeTax = "steuer-id": r"steuer\w*|idnr|tax id\w*|tin",
    Nhs = "nhs": r"nhs|national health",
    Nir = "nir": r"nir|secu|securite sociale|insee",
    Bsn = "bsn": r"bsn|burgerservice\w*|sofi",
    Belgian = "national register": r"rijksregister\w*|insz|niss|registre national|national register",
    Pesel = "pesel": r"pesel",
    Swedish = "personnummer": r"personnummer|personnr|pnr",
    Finnish = "henkilotunnus": r"hetu|henkil\w*",
    Norwegian = "fodselsnummer": r"fodselsn\w*|f\w?dselsn\w*|fnr",
    Cpr = "cpr": r"cpr",
    Cpf = "cpf": r"cpf",
    Aadhaar = "aadhaar": r"aadha+r|uidai",
    Ahv = "ahv": r"ahv|avs",
    Fiscal = "codice fiscale": r"codice fiscale|fiscal\w*",
    Dni = "dni": r"dni|nie|nif",
    Identity = "identity": r"national (?:id\w*|number)|identity|citizen|personal (?:id\w*|number|code)|taxpayer",
    Routing = "routing": r"routing|aba|rtn",
    Iban = "iban": r"iban|bic|swift",
    Plate = "plate": r"licen[cs]e plate|number plate|plate|kennzeichen|vrn|vehicle reg\w*|car registration",
    Card = "card": r"cards?|cc|ccn|ccnum|visa|mastercard|amex|maestro|pan|kreditkarte|cardnumber",
    Birth = "birth": r"born|birth\w*|dob|bday|geboren|geburt\w*|nacimiento|nascita|naissance|naiss",
    Phone = "phone": r"phones?|phonenumber|telefon\w*|telephone|mobile|cell\w*|handy|fax|tel|msisdn|call(?:ed|ing|s)?|sms|whatsapp|dial|answering|text me|messages? (?:on|to|at)|desk|ring|reach",
    Latitude = "latitude": r"lat|latitude",
    Longitude = "longitude": r"lng|lon|long|longitude",
    Place = "coordinates": r"coord\w*|gps|geo\w*|position|latlng|latlon",
    Crypto = "wallet": r"bitcoin|btc|wallet|crypto|ethereum",
    Password = "password": r"password\w*|passwd|pwd|passphrase|passwort|passcode|pass|pin|cvv2?|cvc2?",
    Secret = "secret": r"secret|secrets|token|tokens|api ?key|access ?key|private ?key|auth|authorization|credentials?|bearer|signing ?key|encryption ?key|sessionid|session id|csrf|nonce|apikey",
    FullName = "person": r"(?:first|last|full|given|family|middle|maiden|sur|fore|nick|birth|cardholder|holder|customer|contact|recipient|sender|patient|employee|guest|passenger) ?names?|vorname|nachname|surname|apellidos?|prenom|nombre|cardholder|recipient|patient|holder",
    Name = "name": r"name",
    Street = "street": r"street|addresse?|addr|address ?(?:line)? ?[12]?|line ?[12]|strasse|rue|calle|shipping to|billing to",
    Version = "version": r"version|ver|firmware|build|release|upgraded?|v",
    Other = "other number": r"orders?|invoice|tracking|parcel|sku|products?|items?|ticket|reference|ref|serial|quantity|qty|amount|total|timestamp|count|size|bytes|epoch|isbn|ean|gtin|batch|part",
}

/// A set of topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Topics(u64);

impl Topics {
    pub(super) fn has(self, topic: Topic) -> bool {
        self.0 >> topic as u32 & 1 == 1
    }

    /// The first of `topics` that is in the set.
    pub(super) fn first_of(self, topics: &[Topic]) -> Option<Topic> {
        topics.iter().copied().find(|&topic| self.has(topic))
    }

    pub(super) fn and(self, other: Topics) -> Topics {
        Topics(self.0 | other.0)
    }

    fn insert(&mut self, topic: Topic) {
        self.0 |= 1 << topic as u32;
    }
}

impl Topic {
    pub(super) fn name(self) -> &'static str {
        TOPICS[self as usize].1
    }
}

/// Finds topics in text and in names.
#[derive(Debug)]
pub(super) struct TopicWords {
    words: Regex,
}

/// As many bytes of a name as are looked at, counted from its end.
const NAME_BYTES: usize = 64;

impl TopicWords {
    pub(super) fn new() -> TopicWords {
        let patterns: Vec<_> = TOPICS
            .iter()
            .map(|(_, _, words)| format!(r"\b(?:{words})\b"))
            .collect();
        let syntax = syntax::Config::new().unicode(false).case_insensitive(true);
        let words = Regex::builder()
            .syntax(syntax)
            .build_many(&patterns)
            .expect("the words of topics are constants, and tests build them");
        TopicWords { words }
    }

    /// The topics of a text.
    pub(super) fn of_text(&self, text: &[u8]) -> Topics {
        let mut topics = Topics::default();
        for found in self.words.find_iter(text) {
            topics.insert(TOPICS[found.pattern().as_usize()].0);
        }
        topics
    }

    /// The topics of a field's name or path: `dateOfBirth` and `date_of_birth` are three words.
    pub(super) fn of_name(&self, name: &str) -> Topics {
        if name.is_empty() {
            return Topics::default();
        }
        let bytes = name.as_bytes();
        let tail = &bytes[bytes.len().saturating_sub(NAME_BYTES)..];
        let mut spaced = [0_u8; 2 * NAME_BYTES];
        let mut length = 0;
        let mut was_lower = false;
        for &byte in tail {
            if was_lower && byte.is_ascii_uppercase() {
                spaced[length] = b' ';
                length += 1;
            }
            was_lower = byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let is_word = byte.is_ascii_alphanumeric() || !byte.is_ascii();
            spaced[length] = if is_word { byte } else { b' ' };
            length += 1;
        }
        self.of_text(&spaced[..length])
    }
}
