use std::process::ExitCode;

fn main() -> ExitCode {
    progression_boost::cli::main()
}
