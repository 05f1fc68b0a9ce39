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


@pytest.mark.parametrize("format", ["records", "text", "sft", "prompts", "chat"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.txt", "rows.parquet"])
def test_files_are_the_programs(binary, tmp_path, format, name):
    problems = tercet.generate(op="2-4", context=["zoo", "terse"], n=300, seed=3)
    if (format, name) == ("records", "rows.parquet"):
        with pytest.raises(ValueError, match="records have no columns"):
            tercet.write(problems, tmp_path / name, format=format)
        return
    assert tercet.write(problems, tmp_path / name, format=format) == len(problems)
    asked = ["--op", "2-4", "--context", "zoo,terse", "-n", 300, "--seed", 3, "--format", format]
    binary("problems", *asked, "--out", tmp_path / f"program-{name}")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"program-{name}").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"program-{name}"])


@pytest.mark.parametrize("format", ["text", "sft", "prompts", "chat"])
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "parquet"])
def test_every_format_is_read_by_every_library(tmp_path, format, ending):
    datasets, pandas = pytest.importorskip("datasets"), pytest.importorskip("pandas")
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    path = str(tmp_path / f"rows.{ending}")
    problems = tercet.generate(op="2-3", context=["zoo", "terse"], n=40)
    tercet.write(problems, path, format=format)
    if ending == "parquet":
        read = [
            datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path)).to_list(),
            polars.read_parquet(path).to_dicts(),
            pandas.read_parquet(path).to_dict("records"),
        ]
        found = duckdb.sql(f"select * from '{path}'")
    else:
        read = [
            datasets.Dataset.from_json(path, cache_dir=str(tmp_path)).to_list(),
            pandas.read_json(path, lines=True, dtype=False).to_dict("records"),
        ]
        if ending == "jsonl":
            read.append(polars.read_ndjson(path).to_dicts())
        found = duckdb.sql(f"select * from read_json('{path}', format='newline_delimited', maximum_object_size=20000000)")
    read.append([dict(zip(found.columns, row)) for row in found.fetchall()])
    for rows in read:
        assert [tercet.Problem.from_record(row["record"]) for row in rows] == list(problems)
        for row, problem in zip(rows, problems):
            if format == "chat":
                turns = [(turn["role"], turn["content"]) for turn in row["messages"]]
                assert turns[1] == ("assistant", problem.response) and turns[0][1] in problem.prompt
            else:
                wanted = {"text": {"text": problem.text}, "prompts": {"prompt": problem.prompt}}
                sft = {"prompt": problem.prompt, "completion": problem.response}
                assert {key: row[key] for key in wanted.get(format, sft)} == wanted.get(format, sft)


def test_a_file_that_cannot_be_written_and_a_format_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="known are records, text, sft, prompts, chat"):
        tercet.write(PROBLEMS, tmp_path / "rows.jsonl", format="worksheet")
    with pytest.raises((OSError, ValueError)):
        tercet.write(PROBLEMS, tmp_path / "no/such/rows.jsonl")
    with pytest.raises(OSError, match="at least one row"):
        tercet.write([], tmp_path / "rows.parquet", format="text")
    with pytest.raises(TypeError):
        tercet.write(["no problem"], tmp_path / "rows.jsonl")
