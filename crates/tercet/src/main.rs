//! The `tercet` program; everything is in the library, so that a package of another language can hold it, too.

use std::process::ExitCode;

fn main() -> ExitCode {
    tercet::main(std::env::args_os())
}
