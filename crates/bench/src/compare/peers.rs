//! Who is compared, and how each is called.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Where the peers' programs are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

const DENSE: &[&str] = &["mlp64_sgdm", "mlp1024_adam", "tinymlp32_sgd", "logreg32_sgd"];
const TAPE: &[&str] = &["tape_10000_scalar"];
const MEMORY: &[&str] = &["mem_vgg256_sgd"];
const NETS: &[&str] = &["lenet64_adam", "vgg32_sgd", "lstm32_adam", "gpt8_adamw"];

/// Someone who can be timed.
pub(super) struct Peer {
    pub(super) name: String,
    program: PathBuf,
    args: Vec<String>,
    /// Workloads by list.
    has: Vec<&'static [&'static str]>,
}

/// A number of threads.
#[derive(Clone, Copy)]
pub(super) struct Threads(pub(super) usize);

impl Threads {
    /// Tells every library, and pins one thread to one core, so that no hidden pool helps.
    fn command(self, program: &Path) -> Command {
        let mut command = match self.0 {
            1 => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", "1"]).arg(program);
                pinned
            }
            _ => Command::new(program),
        };
        for library in ["PEER", "RAYON", "OPENBLAS", "OMP", "MKL", "BLIS", "MATMUL"] {
            let suffix = if library == "PEER" { "THREADS" } else { "NUM_THREADS" };
            command.env(format!("{library}_{suffix}"), self.0.to_string());
        }
        command
    }
}

impl Peer {
    /// This program itself.
    ///
    /// # Errors
    /// A system that does not know where it is.
    pub(super) fn pleach() -> Result<Peer, Box<dyn Error>> {
        let (program, args) = (std::env::current_exe()?, vec!["step".into()]);
        let has = vec![DENSE, NETS, TAPE, MEMORY];
        Ok(Peer { name: "pleach".into(), program, args, has })
    }

    pub(super) fn is_pleach(&self) -> bool {
        self.name == "pleach"
    }

    pub(super) fn has(&self, workload: &str) -> bool {
        self.has.iter().any(|list| list.contains(&workload))
    }

    /// Its measurements of a workload.
    ///
    /// # Errors
    /// It cannot be started, fails, or says nothing.
    pub(super) fn time(
        &self,
        workload: &str,
        threads: Threads,
        seconds: f64,
    ) -> Result<Vec<Value>, Box<dyn Error>> {
        let mut command = threads.command(&self.program);
        command.args(&self.args);
        if self.is_pleach() {
            let (threads, seconds) = (threads.0.to_string(), seconds.to_string());
            let args = ["--workload", workload, "--threads", &threads, "--seconds", &seconds];
            command.args(args);
        } else {
            // The peers know the tape without its suffix.
            command.env("PEER_ONLY", workload.trim_end_matches("_scalar"));
            command.env("PEER_BUDGET", seconds.to_string());
            command.current_dir(Path::new(FOLDER).join("python"));
        }
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found: Vec<Value> = text
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        // Programs that time several things ignore the wish.
        let mine = |line: &Value| line["workload"] == workload;
        let found: Vec<Value> = found.into_iter().filter(mine).collect();
        match (output.status.success(), found.is_empty()) {
            (_, false) => Ok(found),
            (true, true) => Err("it printed no measurement".into()),
            (false, true) => {
                let errors = String::from_utf8_lossy(&output.stderr);
                let last = errors.lines().last().unwrap_or("no message").to_string();
                Err(format!("{}: {last}", output.status).into())
            }
        }
    }
}

/// The peers that are here, and why others are not.
pub(super) fn installed(python: &Path) -> (Vec<Peer>, Vec<(String, String)>) {
    // Peers run in their own folder. A bare name is looked for in `PATH`.
    let here = std::path::absolute(python).ok().filter(|_| python.components().count() > 1);
    let python = here.as_deref().unwrap_or(python);
    let (mut peers, mut skipped) = (Vec::new(), Vec::new());
    for (module, script, arg, has) in [
        ("torch", "torch_train.py", "eager", vec![DENSE, NETS]),
        ("torch", "torch_train.py", "compile", vec![DENSE, NETS]),
        ("torch", "torch_train.py", "whole", vec![DENSE, NETS]),
        ("torch", "tape.py", "torch", vec![TAPE]),
        ("torch", "memory.py", "torch", vec![MEMORY]),
        ("jax", "jax_train.py", "", vec![DENSE, NETS]),
        ("jax", "tape.py", "jax", vec![TAPE]),
        ("jax", "memory.py", "jax", vec![MEMORY]),
        ("pytensor", "pytensor_train.py", "NUMBA", vec![DENSE]),
    ] {
        let args: Vec<String> = [script, arg].iter().map(ToString::to_string).collect();
        let args: Vec<String> = args.into_iter().filter(|arg| !arg.is_empty()).collect();
        let name = args.join(" ");
        match imports(python, module) {
            Ok(()) => peers.push(Peer { name, program: python.into(), args, has }),
            Err(why) => skipped.push((name, why)),
        }
    }
    for (name, arg, has) in [
        ("candle-peer", "", vec![DENSE, NETS, TAPE]),
        ("dfdx-peer", "", vec![DENSE, TAPE]),
        ("autograd-peer", "", vec![DENSE, TAPE]),
        ("burn-peer", "flex", vec![DENSE, NETS, TAPE]),
    ] {
        let program = Path::new(FOLDER).join("rust/target/release").join(name);
        let args = if arg.is_empty() { vec![] } else { vec![arg.to_string()] };
        match program.exists() {
            true => peers.push(Peer { name: name.into(), program, args, has }),
            false => skipped.push((name.into(), "it is not built, see peers/README.md".into())),
        }
    }
    (peers, skipped)
}

/// Can this Python import the module?
fn imports(python: &Path, module: &str) -> Result<(), String> {
    let output = Command::new(python).args(["-c", &format!("import {module}")]).output();
    match output {
        Err(error) => Err(format!("{}: {error}", python.display())),
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) => Err(format!("this Python has no {module}, see peers/README.md")),
    }
}

/// What stands for a measurement that failed.
pub(super) fn failure(peer: &Peer, workload: &str, threads: usize, error: &str) -> Value {
    json!({ "peer": peer.name, "workload": workload, "threads": threads, "error": error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_missing_is_named() {
        let (peers, skipped) = installed(Path::new("/no/such/python"));
        assert!(peers.iter().all(|peer| peer.name.ends_with("-peer")));
        assert!(skipped.iter().any(|(name, _)| name == "torch_train.py eager"), "{skipped:?}");
    }

    #[test]
    fn every_workload_is_pleachs() {
        let pleach = Peer::pleach().expect("this program is somewhere");
        assert!(crate::step::names().iter().all(|name| pleach.has(name)));
    }

    #[test]
    fn what_a_program_prints_is_read_and_a_failure_says_why() {
        let shell = |script: &str| Peer {
            name: "shell".into(),
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            has: vec![TAPE],
        };
        let time = |script: &str| shell(script).time("a", Threads(2), 0.1);
        let line = r#"echo 'hello'; echo "{\"workload\":\"a\",\"threads\":$PEER_THREADS}""#;
        let found = time(line).expect("it prints");
        assert_eq!(found, [json!({ "workload": "a", "threads": 2 })]);
        assert!(time(r#"echo '{"workload":"b"}'"#).is_err());
        let error = time("echo no room >&2; exit 3").expect_err("it failed").to_string();
        assert!(error.contains("no room"), "{error}");
    }
}
