//! Links the C libraries that the features ask for.
fn main() {
    if std::env::var_os("CARGO_FEATURE_OPENBLAS").is_some() {
        println!("cargo:rustc-link-lib=openblas");
    }
    if std::env::var_os("CARGO_FEATURE_BLIS").is_some() {
        println!("cargo:rustc-link-lib=blis");
    }
}
