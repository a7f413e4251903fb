//! Passwords and their hashes.

use argon2::password_hash::{
    self, PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString,
};
use argon2::{Algorithm, Argon2, Params, Version};

/// The hash of a password in PHC string form.
///
/// The cost is far below what a real shop should take: a test has hundreds of logins on few cores.
pub fn hash(password: &str, salt: [u8; 16]) -> Result<String, password_hash::Error> {
    let salt = SaltString::encode_b64(&salt)?;
    Ok(hasher()?
        .hash_password(password.as_bytes(), &salt)?
        .to_string())
}

/// Whether `hash` was made of `password`; a hash that can't be parsed belongs to no password.
pub fn verify(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    // The parameters are those in the hash, whatever the hasher's own are.
    Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok()
}

fn hasher() -> Result<Argon2<'static>, password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

const MEMORY_KIB: u32 = 2048;
const PASSES: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_alone() {
        let hash = hash("opensesame", [7; 16]).unwrap();
        assert!(verify("opensesame", &hash));
        assert!(!verify("opensesamE", &hash));
        assert!(!verify("opensesame", "no hash at all"));
    }
}
