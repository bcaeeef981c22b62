//! What a user puts beside the state.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use crate::FormatError;

/// Values by name, as JSON: the position in the data, the best loss so far, a history.
///
/// ```
/// use pleach_format::checkpoint::Notes;
/// let mut notes = Notes::default();
/// notes.set("data", &(3u64, 17usize))?;
/// assert_eq!(notes.get::<(u64, usize)>("data")?, Some((3, 17)));
/// assert_eq!(notes.get::<f64>("best")?, None);
/// # Ok::<(), pleach_format::FormatError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(pub(super) BTreeMap<String, String>);

impl Notes {
    /// Puts a value under a name, in place of an earlier one. Finite floats come back bit by bit.
    ///
    /// # Errors
    /// [`FormatError::Note`] if JSON cannot hold the value such that it can be read back: an
    /// infinite or undefined float, a map whose keys are no text.
    pub fn set<T: Serialize + DeserializeOwned>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), FormatError> {
        let note = |source| FormatError::Note { name: name.to_string(), source };
        let text = serde_json::to_string(value).map_err(note)?;
        serde_json::from_str::<T>(&text).map_err(note)?;
        self.0.insert(name.to_string(), text);
        Ok(())
    }

    /// The value under a name; `None` if there is none.
    ///
    /// # Errors
    /// [`FormatError::Note`] if it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FormatError> {
        let note = |source| FormatError::Note { name: name.to_string(), source };
        self.0.get(name).map(|text| serde_json::from_str(text).map_err(note)).transpose()
    }

    /// Names and JSON, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}
