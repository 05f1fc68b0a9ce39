//! All rows of a run as a file for data frames.

use std::fs;

use parquet::file::reader::{FileReader as _, SerializedFileReader};

use crate::{temporary, tercet};

const RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runs/tests/fixtures/quickstart");

#[test]
fn a_table_has_the_same_rows_as_csv_and_as_parquet() {
    let dir = temporary();
    for table in ["rows.csv", "rows.parquet"] {
        let made = tercet(dir.path(), &["report", RUN, "--table", table]);
        assert_eq!(made.code, 0, "{}", made.all());
    }
    let lines = fs::read_to_string(dir.path().join("rows.csv")).expect("written");
    let file = fs::File::open(dir.path().join("rows.parquet")).expect("written");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let mut lines = lines.lines();
    let names: Vec<&str> = lines.next().expect("a line of names").split(',').collect();
    let mut count = 0;
    for row in reader.get_row_iter(None).expect("rows") {
        let row = row.expect("whole").to_json_value();
        let line = lines.next().expect("a line for each row");
        for (name, text) in names.iter().zip(line.split(',')) {
            // A number is compared as a number: CSV and JSON may write it differently.
            let same = match &row[*name] {
                serde_json::Value::Null => text.is_empty(),
                serde_json::Value::String(value) => value == text,
                serde_json::Value::Bool(value) => Ok(*value) == text.parse(),
                number => number.as_f64() == text.parse().ok(),
            };
            assert!(same, "{name}: {} in {line}", row[*name]);
        }
        count += 1;
    }
    assert!(count > 0 && lines.next().is_none());
}

#[test]
fn a_table_of_another_kind_is_refused() {
    let dir = temporary();
    insta::assert_snapshot!(tercet(dir.path(), &["report", RUN, "--table", "rows.xlsx"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: rows.xlsx: the name of a table ends in .csv or .parquet
    ");
}
