//! JSON Web Tokens that are signed anew (RFC 7519).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::times::Shift;

/// How tokens in one header field are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The field that has them, such as Authorization.
    pub header: String,
    /// The algorithm.
    pub alg: TokenAlgorithm,
    /// The file with the secret (HS*), or with the private key as PEM.
    pub key: PathBuf,
}

/// The algorithms that tokens are signed by (RFC 7518, section 3; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

/// Signs the tokens of one header field.
pub struct Signer {
    /// The field's name in small letters.
    pub header: String,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    /// Reads the key; its path counts from `base`.
    ///
    /// # Errors
    /// When it can't be read, or is no key for the algorithm.
    pub fn new(settings: &TokenSettings, base: &Path) -> Result<Signer> {
        let path = base.join(&settings.key);
        let named = || format!("the key {} of `jwt`", path.display());
        let text = std::fs::read(&path).with_context(|| format!("reading {}", named()))?;
        let pem = |key: jsonwebtoken::errors::Result<EncodingKey>| {
            let what = format!(
                "{} is no private key for {:?} as PEM",
                named(),
                settings.alg
            );
            key.context(what)
        };
        let (algorithm, key) = match settings.alg {
            TokenAlgorithm::HS256 => (Algorithm::HS256, secret(&text)),
            TokenAlgorithm::HS384 => (Algorithm::HS384, secret(&text)),
            TokenAlgorithm::HS512 => (Algorithm::HS512, secret(&text)),
            TokenAlgorithm::RS256 => (Algorithm::RS256, pem(EncodingKey::from_rsa_pem(&text))?),
            TokenAlgorithm::ES256 => (Algorithm::ES256, pem(EncodingKey::from_ec_pem(&text))?),
            TokenAlgorithm::EdDSA => (Algorithm::EdDSA, pem(EncodingKey::from_ed_pem(&text))?),
        };
        Ok(Signer {
            header: settings.header.to_ascii_lowercase(),
            algorithm,
            key,
        })
    }

    /// The token with its times moved and a sound signature; `None` for what is no
    /// token.
    pub fn sign(&self, token: &str, shift: Shift) -> Option<String> {
        let mut parts = token.split('.');
        let mut part = || -> Option<Map<String, Value>> {
            let json = BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
            serde_json::from_slice(&json).ok()
        };
        let (recorded, mut claims) = (part()?, part()?);
        for name in ["exp", "iat", "nbf"] {
            if let Some(time) = claims.get_mut(name) {
                let moved = time
                    .as_u64()
                    .and_then(|time| shift.number(&time.to_string()));
                if let Some(moved) = moved.and_then(|moved| moved.parse::<u64>().ok()) {
                    *time = moved.into();
                }
            }
        }
        let text = |name: &str| Some(recorded.get(name)?.as_str()?.to_owned());
        let header = Header {
            kid: text("kid"),
            typ: text("typ"),
            ..Header::new(self.algorithm)
        };
        jsonwebtoken::encode(&header, &claims, &self.key).ok()
    }
}

/// A secret as its file has it, but for the line break at its end.
fn secret(text: &[u8]) -> EncodingKey {
    let end = text
        .strip_suffix(b"\n")
        .map(|text| text.strip_suffix(b"\r").unwrap_or(text));
    EncodingKey::from_secret(end.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use twintap_stream::Timestamp;

    use super::*;

    fn settings(alg: TokenAlgorithm, key: &str) -> TokenSettings {
        TokenSettings {
            header: "Authorization".to_owned(),
            alg,
            key: key.into(),
        }
    }

    fn recorded() -> String {
        let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
        format!(
            "{}.{}.c2ln",
            part(r#"{"alg":"RS256","kid":"k1"}"#),
            part(r#"{"sub":"u-17","exp":1700003600,"iat":1700000000,"scope":["a"]}"#)
        )
    }

    #[test]
    fn a_token_is_signed_with_its_times_moved() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        std::fs::write(directory.path().join("k"), "a secret\n").expect("a place to write");
        let now_s = jiff::Timestamp::now().as_second() as u64;
        let at = |second: u64| Timestamp(second * 1_000_000_000);
        let shift = Shift::new(at(1_700_000_000), at(now_s));
        for (alg, algorithm) in [
            (TokenAlgorithm::HS256, Algorithm::HS256),
            (TokenAlgorithm::HS384, Algorithm::HS384),
            (TokenAlgorithm::HS512, Algorithm::HS512),
        ] {
            let signer = Signer::new(&settings(alg, "k"), directory.path()).expect("a key");
            let token = signer.sign(&recorded(), shift).expect("a token");
            let key = DecodingKey::from_secret(b"a secret");
            let read = jsonwebtoken::decode::<Value>(&token, &key, &Validation::new(algorithm))
                .expect("a token that holds");
            assert_eq!(read.header.kid.as_deref(), Some("k1"));
            assert_eq!(read.claims["sub"], "u-17");
            assert_eq!(read.claims["iat"], now_s);
            assert_eq!(read.claims["exp"], now_s + 3600);
            assert_eq!(read.claims["scope"][0], "a");
        }
    }

    #[track_caller]
    fn check_key(alg: TokenAlgorithm, algorithm: Algorithm, private: &str, public: DecodingKey) {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        std::fs::write(directory.path().join("k"), private).expect("a place to write");
        let now_s = jiff::Timestamp::now().as_second() as u64;
        let at = |second: u64| Timestamp(second * 1_000_000_000);
        let shift = Shift::new(at(1_700_000_000), at(now_s));
        let signer = Signer::new(&settings(alg, "k"), directory.path()).expect("a key");
        let token = signer.sign(&recorded(), shift).expect("a token");
        let read = jsonwebtoken::decode::<Value>(&token, &public, &Validation::new(algorithm))
            .expect("a token that holds");
        assert_eq!(read.header.kid.as_deref(), Some("k1"));
        assert_eq!(read.claims["sub"], "u-17");
        assert_eq!(read.claims["exp"], now_s + 3600);
        // What another signed does not hold.
        let (signed, _) = token.rsplit_once('.').expect("a signature");
        let forged = format!("{signed}.c2ln");
        jsonwebtoken::decode::<Value>(&forged, &public, &Validation::new(algorithm))
            .expect_err("another signature");
    }

    #[test]
    fn private_keys_sign_what_their_public_ones_take() {
        use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
        // Nothing here makes keys of RSA; these sign nothing but what this test makes.
        let public = || {
            DecodingKey::from_rsa_pem(include_bytes!("../../../tests/keys/rsa-public.pem"))
                .expect("a key")
        };
        for private in [
            include_str!("../../../tests/keys/rsa.pem"),
            include_str!("../../../tests/keys/rsa-pkcs1.pem"),
        ] {
            check_key(TokenAlgorithm::RS256, Algorithm::RS256, private, public());
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let public = DecodingKey::from_ec_pem(key.public_key_pem().as_bytes()).expect("a key");
        let private = key.serialize_pem();
        check_key(TokenAlgorithm::ES256, Algorithm::ES256, &private, public);
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let public = DecodingKey::from_ed_pem(key.public_key_pem().as_bytes()).expect("a key");
        let private = key.serialize_pem();
        check_key(TokenAlgorithm::EdDSA, Algorithm::EdDSA, &private, public);
    }

    #[test]
    fn what_is_no_token_or_no_key_is_said() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        std::fs::write(directory.path().join("k"), "a secret").expect("a place to write");
        let shift = Shift::new(Timestamp(0), Timestamp(0));
        let signer = Signer::new(&settings(TokenAlgorithm::HS256, "k"), directory.path());
        assert_eq!(signer.expect("a key").sign("opaque-token", shift), None);
        for alg in [
            TokenAlgorithm::RS256,
            TokenAlgorithm::ES256,
            TokenAlgorithm::EdDSA,
        ] {
            let error = Signer::new(&settings(alg, "k"), directory.path()).err();
            let error = format!("{:#}", error.expect("no PEM"));
            assert!(error.contains("is no private key"), "{error}");
        }
        let missing = Signer::new(&settings(TokenAlgorithm::HS256, "none"), directory.path());
        let error = format!("{:#}", missing.err().expect("no file"));
        assert!(error.contains("of `jwt`"), "{error}");
    }
}
