//! What the terminal shows: message identifiers and their standard wording (EMV Contactless Book A 9.4, table 9-3).

use serde::{Deserialize, Serialize};

use super::io::{Cvm, Outcome};

/// Names each message once for the variant, its identifier and its words.
macro_rules! messages {
    ($($name:ident $id:literal $words:literal)*) => {
        /// A message to cashier and customer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Message {
            $(#[doc = concat!("\"", $words, "\".")] $name,)*
        }

        impl Message {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its identifier.
            #[must_use]
            pub const fn id(self) -> u8 {
                match self { $(Self::$name => $id,)* }
            }

            /// Its wording; a terminal may say it in another language.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

messages! {
    Approved 0x03 "Approved"
    NotAuthorised 0x07 "Not authorised"
    EnterPin 0x09 "Please enter your PIN"
    CardReadOk 0x17 "Card read OK, please remove card"
    InsertOrSwipe 0x18 "Please insert or swipe card"
    ApprovedSign 0x1A "Approved, please sign"
    Authorising 0x1B "Authorising, please wait"
    AnotherCard 0x1C "Insert, swipe or try another card"
    SeePhone 0x20 "See phone for instructions"
    PresentAgain 0x21 "Present card again"
}

impl Message {
    /// The message of an outcome (Book A 6.2; C-2 A.1.194; C-3 A.2 for the device that wants its holder first).
    #[must_use]
    pub const fn of(outcome: Outcome, cvm: Cvm) -> Self {
        match (outcome, cvm) {
            (Outcome::Approved, Cvm::Signature) => Self::ApprovedSign,
            (Outcome::Approved, _) => Self::Approved,
            (Outcome::Declined, _) => Self::NotAuthorised,
            (Outcome::TryAnotherInterface, _) => Self::InsertOrSwipe,
            (Outcome::PresentAgain, _) => Self::SeePhone,
            (Outcome::EndApplication, _) => Self::AnotherCard,
            (Outcome::FieldLost, _) => Self::PresentAgain,
        }
    }
}

impl std::fmt::Display for Message {
    /// `1B "Authorising, please wait"`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02X} {:?}", self.id(), self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_messages_share_an_identifier_and_each_fits_a_small_display() {
        let ids: std::collections::BTreeSet<u8> = Message::ALL.iter().map(|message| message.id()).collect();
        assert_eq!(ids.len(), Message::ALL.len());
        for message in Message::ALL {
            assert!((1..=40).contains(&message.words().len()), "{message}");
        }
    }

    #[test]
    fn each_outcome_has_its_message() {
        let shown = |outcome, cvm| Message::of(outcome, cvm).id();
        assert_eq!(shown(Outcome::Approved, Cvm::None), 0x03);
        assert_eq!(shown(Outcome::Approved, Cvm::Signature), 0x1A);
        assert_eq!(shown(Outcome::Declined, Cvm::Signature), 0x07);
        assert_eq!(shown(Outcome::TryAnotherInterface, Cvm::None), 0x18);
        assert_eq!(shown(Outcome::PresentAgain, Cvm::None), 0x20);
        assert_eq!(shown(Outcome::EndApplication, Cvm::None), 0x1C);
        assert_eq!(shown(Outcome::FieldLost, Cvm::None), 0x21);
    }
}
