//! As whom a run logs in to a database.

use std::fmt;

use twintap_plan::Spoken;
use zeroize::Zeroizing;

/// What a connection to a database begins with.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// What the database speaks.
    pub spoken: Spoken,
    /// As whom.
    pub user: Option<String>,
    /// Which of the server's databases.
    pub database: Option<String>,
    /// The password, if there is one.
    pub password: Option<Zeroizing<String>>,
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("spoken", &self.spoken)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
