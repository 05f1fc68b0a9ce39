"""Libraries of data read problems as they are."""

import io
import json

import pytest

import tercet

PROBLEMS = tercet.generate(op="2-5", context=["zoo", "terse"], mode=["forward", "reverse"], n=25)
COLUMNS = ["id", "prompt", "response", "answer", "op", "context", "mode", "index", "seed", "record"]


@pytest.fixture(scope="module")
def rows():
    return list(PROBLEMS.rows())


def check(read, rows):
    assert list(read[0]) == COLUMNS and read == rows
    assert [tercet.Problem.from_record(row["record"]) for row in read[:9]] == list(PROBLEMS[:9])


def test_datasets(rows, tmp_path):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_generator(PROBLEMS.rows, cache_dir=str(tmp_path))
    check(made.to_list(), rows)
    assert {str(feature.dtype) for feature in made.features.values()} <= {"string", "large_string", "int64"}
    made.to_parquet(tmp_path / "rows.parquet")
    check(datasets.Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path)).to_list(), rows)


def test_pandas_and_polars(rows, tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    check(pandas.DataFrame(rows).to_dict("records"), rows)
    check(polars.DataFrame(rows).to_dicts(), rows)
    polars.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")
    check(pandas.read_parquet(tmp_path / "rows.parquet").to_dict("records"), rows)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    check(polars.read_ndjson(io.StringIO(text)).to_dicts(), rows)


def test_duckdb(rows, tmp_path):
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    polars.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")
    read = duckdb.sql(f"select * from '{tmp_path}/rows.parquet'")
    check([dict(zip(read.columns, row)) for row in read.fetchall()], rows)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_of_torch(workers):
    data = pytest.importorskip("torch.utils.data")
    loader = data.DataLoader(PROBLEMS, batch_size=7, num_workers=workers, collate_fn=list)
    assert [problem for batch in loader for problem in batch] == list(PROBLEMS)
