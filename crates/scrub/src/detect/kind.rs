//! What can be found.

/// Variants, and the word by which tables and policies call each.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What a found span means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Kind {
            /// All kinds, in the order of their declaration.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];

            /// The kind's word, such as `us-ssn`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Kind::$variant => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// An e-mail address.
    Email = "email",
    /// A telephone number.
    Phone = "phone",
    /// The number of a payment card.
    Card = "card",
    /// An international bank account number (ISO 13616).
    Iban = "iban",
    /// A routing number of a bank of the United States.
    BankRouting = "bank-routing",
    /// An address of Bitcoin, of one of its descendants, or of Ethereum.
    CryptoAddress = "crypto-address",
    /// An address of IPv4 or IPv6.
    IpAddress = "ip-address",
    /// A hardware address.
    MacAddress = "mac-address",
    /// User and password inside a URL.
    UrlCredentials = "url-credentials",
    /// Latitude, longitude, or both.
    Coordinates = "coordinates",
    /// A date of birth.
    BirthDate = "birth-date",
    /// A social security number of the United States.
    UsSsn = "us-ssn",
    /// A taxpayer number of the United States.
    UsItin = "us-itin",
    /// A number of the National Health Service of the United Kingdom.
    UkNhs = "uk-nhs",
    /// A national insurance number of the United Kingdom.
    UkNino = "uk-nino",
    /// A tax id of Germany.
    DeTaxId = "de-tax-id",
    /// A social security number of France.
    FrNir = "fr-nir",
    /// A fiscal code of Italy.
    ItFiscalCode = "it-fiscal-code",
    /// An identity number of Spain, of citizens (DNI) or of foreigners (NIE).
    EsDni = "es-dni",
    /// A citizen service number of the Netherlands.
    NlBsn = "nl-bsn",
    /// A national register number of Belgium.
    BeNationalNumber = "be-national-number",
    /// A PESEL of Poland.
    PlPesel = "pl-pesel",
    /// A personal number of Sweden.
    SePersonalNumber = "se-personal-number",
    /// A personal identity code of Finland.
    FiIdentityCode = "fi-identity-code",
    /// A birth number of Norway.
    NoBirthNumber = "no-birth-number",
    /// A CPR number of Denmark.
    DkCpr = "dk-cpr",
    /// A CPF of Brazil.
    BrCpf = "br-cpf",
    /// An Aadhaar number of India.
    InAadhaar = "in-aadhaar",
    /// A tax file number of Australia.
    AuTfn = "au-tfn",
    /// A social insurance number of Canada.
    CaSin = "ca-sin",
    /// A social insurance number of Switzerland.
    ChAhv = "ch-ahv",
    /// A password.
    Password = "password",
    /// A key to a cloud.
    CloudKey = "cloud-key",
    /// A token of a service.
    Token = "token",
    /// A JSON Web Token (RFC 7519).
    Jwt = "jwt",
    /// A private key in PEM (RFC 7468).
    PrivateKey = "private-key",
    /// A value that looks random, beside a name that says secret.
    Secret = "secret",
    /// The plate of a vehicle.
    Plate = "plate",
    /// A person's name.
    PersonName = "person-name",
    /// A street with a house number.
    StreetAddress = "street-address",
}
