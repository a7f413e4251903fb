//! The made-up values.

use crate::detect::Kind;

/// A value of nobody's.
pub(super) struct Canary {
    pub(super) kind: Kind,
    pub(super) value: &'static str,
    /// The name of a field for which the detectors know it.
    #[cfg(test)]
    pub(super) name: &'static str,
}

macro_rules! canaries {
    ($($kind:ident, $name:literal, $value:literal;)+) => {
        /// One of each kind that has a pattern or a checksum.
        pub(super) const CANARIES: &[Canary] = &[$(Canary {
            kind: Kind::$kind,
            value: $value,
            #[cfg(test)]
            name: $name,
        },)+];
    };
}

canaries! {
    Email, "value", "canary.bird@mail.example.org";
    Phone, "phone", "+14155550132";
    Card, "card", "4539148803436467";
    Iban, "iban", "DE89370400440532013000";
    BankRouting, "routing", "021000021";
    CryptoAddress, "wallet", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
    IpAddress, "value", "203.0.113.77";
    MacAddress, "value", "3c:22:fb:4a:91:d7";
    UrlCredentials, "value", "postgres://canary:s0ngb1rd@db.example.org/shop";
    Coordinates, "position", "52.520008, 13.404954";
    BirthDate, "birth_date", "1984-03-12";
    UsSsn, "ssn", "536-90-4399";
    UsItin, "itin", "912-70-1234";
    UkNhs, "nhs", "943 476 5919";
    UkNino, "nino", "AB123456C";
    DeTaxId, "tax_id", "86095742719";
    FrNir, "nir", "255081416802538";
    ItFiscalCode, "fiscal_code", "RSSMRA85T10A562S";
    EsDni, "dni", "12345678Z";
    NlBsn, "bsn", "111222333";
    BeNationalNumber, "national_number", "85.07.30-033.28";
    PlPesel, "pesel", "44051401359";
    SePersonalNumber, "personnummer", "811228-9874";
    FiIdentityCode, "hetu", "131052-308T";
    NoBirthNumber, "fnr", "15076500565";
    DkCpr, "cpr", "211062-5629";
    BrCpf, "cpf", "529.982.247-25";
    InAadhaar, "aadhaar", "2341 2341 2346";
    AuTfn, "tfn", "123456782";
    CaSin, "social_insurance", "193456787";
    ChAhv, "ahv", "756.9217.0769.85";
    CloudKey, "value", "AKIAIOSFODNN7EXAMPLE";
    Token, "value", "ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R";
    Jwt, "value", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjYW5hcnkifQ.c2luZ3Mtb24tdGhlLWJyYW5jaC1hbGwtZGF5LWxvbmc";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Context, Detectors};

    #[test]
    fn each_is_what_it_is_said_to_be() {
        let detectors = Detectors::new();
        for canary in CANARIES {
            let context = Context {
                path: canary.name,
                name: canary.name,
            };
            let found = detectors.detect(&context, canary.value);
            let kinds: Vec<_> = found.iter().map(|found| found.kind).collect();
            assert!(kinds.contains(&canary.kind), "{}: {kinds:?}", canary.value);
        }
    }
}
