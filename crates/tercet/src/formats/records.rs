//! One JSON record per line.

use problems::Problem;

pub(super) fn problem(problem: &Problem) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&problem.record())? + "\n")
}
