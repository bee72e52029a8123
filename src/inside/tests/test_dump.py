"""Folders, files and programs of dumps."""

import datetime
import gzip
import os

import pytest

from downdraft.backup import dumpfolder
from downdraft.backup.dump import LISTED_DATA, STAYS, count_in_files, rows_in, size_of
from downdraft.backup.mysql import mysql_escaped, rows_in_sql
from downdraft.backup.programs import Child, ChildFailed, child_failed, disk_errors
from downdraft.backup.restore import contents_check, place_of, unless
from standins import Work, kind_of


@pytest.fixture
def volume(tmp_path, monkeypatch):
    monkeypatch.setattr(dumpfolder, "BACKUP_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", None, "a\n", "x" * 300])
def test_what_is_no_name_of_a_folder_is_refused(volume, name):
    assert kind_of(dumpfolder.look_at_dump_name, {"kind": "dump", "run": "run", "name": name}, None) == "BadOrder"


def test_a_dump_needs_a_volume(monkeypatch):
    monkeypatch.setattr(dumpfolder, "BACKUP_DIR", "")
    order = {"kind": "dump", "run": "run", "name": "name"}
    assert kind_of(dumpfolder.look_at_dump_name, order, None) == "DumpImpossible"


NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("until", "over"),
    [
        ("2025-12-31T23:59:59Z", True),
        ("2026-01-01T00:00:01Z", False),
        (None, False),
        ("soon", False),
        ("2025-12-31", False),
    ],
)
def test_the_time_of_a_dump_is_over_only_when_it_can_be_read(until, over):
    assert dumpfolder.is_over(until, NOW) is over


def test_a_dump_is_begun_hidden_and_is_ours_by_its_mark(volume):
    order = {"run": "run", "name": "name", "keepUntil": "2020-01-01T00:00:00Z"}
    folder, mark = dumpfolder.new_folder(order, Work())
    assert os.path.basename(folder).startswith(".downdraft-") and os.stat(folder).st_mode & 0o77 == 0
    assert dumpfolder.read_mark(folder) == mark and "verified" not in mark
    assert dumpfolder.is_of_this_dump(mark, order, Work())
    assert not dumpfolder.is_of_this_dump(mark, dict(order, run="other"), Work())
    assert dumpfolder.expired_dumps() == [(folder, mark)]


def test_folders_of_others_are_left_and_ours_whose_time_is_over_go(volume):
    (volume / "theirs").mkdir()
    (volume / "spoiled").mkdir()
    (volume / "spoiled" / dumpfolder.MARK).write_text("{")
    (volume / ".downdraft-x.removed").mkdir()
    over = {"run": "other", "name": "old", "keepUntil": "2020-01-01T00:00:00Z"}
    dumpfolder.new_folder(over, Work())
    order = {"run": "run", "name": "name"}
    dumpfolder.new_folder(order, Work())
    (volume / "link").symlink_to(volume / "theirs")
    assert dumpfolder.clear_folder(order, Work()) == ["old"]
    assert sorted(os.listdir(volume)) == ["link", "spoiled", "theirs"]


def test_a_dump_whose_files_have_changed_is_refused(volume):
    folder, mark = dumpfolder.new_folder({"run": "run", "name": "name"}, Work())
    os.mkdir(os.path.join(folder, "content"))
    file = os.path.join(folder, "content", "1.dat")
    with open(file, "w") as content:
        content.write("rows")
    mark.update(files=dumpfolder.checksums(folder), verified="now")
    assert list(mark["files"]) == ["content/1.dat"]
    dumpfolder.refuse_changed_dump(folder, mark, Work())
    with open(file, "a") as content:
        content.write("more")
    assert kind_of(dumpfolder.refuse_changed_dump, folder, mark, Work()) == "DumpChanged"


END = b"\\.\n\n\n"


@pytest.mark.parametrize(
    ("content", "rows"),
    [(b"1\tx\n2\ty\n" + END, 2), (END, 0), (b"1\n", None), (b"", None), (b"1\n" + END[:-1], None)],
)
def test_rows_of_a_tables_file_are_counted_to_its_end(tmp_path, content, rows):
    (tmp_path / "1.dat").write_bytes(content)
    (tmp_path / "2.dat.gz").write_bytes(gzip.compress(content))
    assert [rows_in(str(tmp_path / name)) for name in ("1.dat", "2.dat")] == [rows, rows]


def test_a_packed_file_that_is_cut_off_or_spoiled_has_no_end(tmp_path):
    packed = gzip.compress(b"1\n" + END)
    (tmp_path / "1.dat.gz").write_bytes(packed[:-4])
    (tmp_path / "2.dat.gz").write_bytes(b"spoiled")
    assert [rows_in(str(tmp_path / name)) for name in ("1.dat", "2.dat")] == [None, None]
    assert size_of(str(tmp_path)) == len(packed) + 3 and size_of(str(tmp_path / "none")) == 0


def test_a_dump_must_have_all_tables_with_all_rows(tmp_path):
    (tmp_path / "5.dat").write_bytes(b"1\n" + END)
    listed, tables = ["; a comment", "5; 0 77 TABLE DATA public dag air"], {77: ("public", "dag")}
    count_in_files(str(tmp_path), listed, tables, {"public.dag": 1}, Work())
    assert kind_of(count_in_files, str(tmp_path), listed, tables, {"public.dag": 2}, Work()) == "DumpDiffers"
    assert kind_of(count_in_files, str(tmp_path), [], tables, {"public.dag": 1}, Work()) == "DumpDiffers"
    assert LISTED_DATA.match(listed[1]).groups() == ("5", "77")


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("10; 1255 16390 FUNCTION public f() air", True),
        ("11; 0 0 ACL public FUNCTION f() air", True),
        ("12; 2615 2200 SCHEMA - public air", True),
        ("13; 1259 16391 TABLE public dag air", False),
        ("14; 0 0 COMMENT public TABLE dag air", False),
        ("15; 0 16391 TABLE DATA public dag air", False),
    ],
)
def test_what_is_no_part_of_the_tables_is_not_restored(line, stays):
    assert bool(STAYS.match(line)) is stays


def sql_file(folder, text):
    file = folder / "tables.sql.gz"
    file.write_bytes(gzip.compress(text.encode()))
    return str(file)


def test_rows_of_inserts_are_counted_in_the_forms_of_both_dump_programs(tmp_path):
    text = (
        "CREATE TABLE `dag` (a int);\n"
        "INSERT INTO `dag` VALUES (1,'a),(b'),(2,'it\\'s'),(3,NULL);\n"
        "INSERT IGNORE INTO `odd``name` VALUES\n(1,'x'),\n(2,';');\n"
        "(not a row)\n"
        "-- Dump completed\n"
    )
    assert rows_in_sql(sql_file(tmp_path, text)) == {"dag": 3, "odd`name": 2}


@pytest.mark.parametrize("text", ["INSERT INTO `dag` VALUES (1);\n", ""])
def test_a_dump_without_its_end_is_refused(tmp_path, text):
    assert kind_of(rows_in_sql, sql_file(tmp_path, text)) == "DumpDiffers"
    (tmp_path / "cut.gz").write_bytes(gzip.compress(text.encode())[:-6])
    assert kind_of(rows_in_sql, str(tmp_path / "cut.gz")) == "DumpDiffers"


def test_a_value_in_a_file_of_options_is_escaped():
    assert mysql_escaped('p"a\\s\n\t\r') == 'p\\"a\\\\s\\n\\t\\r'


def test_the_restore_looks_before_it_commits():
    assert place_of("public.dag.run") == '"public"."dag.run"'
    assert unless("a = 1", "it's") == "SELECT CAST(CASE WHEN a = 1 THEN '0' ELSE 'it''s' END AS int);"
    told = contents_check({"counts": {"a.t": 3}, "heads": {"a.v": ["1"]}})
    assert '(SELECT count(*) FROM "a"."t") = 3' in told[0] and "CAST(ARRAY['1'] AS text[])" in told[1]


@pytest.mark.parametrize(
    ("complaint", "kind", "message"),
    [
        ("psql: ERROR:  42501: no right\nDETAIL: secret", "NotAllowed", "pg_dump: the role of Airflow's connection"),
        ("pg_dump: error: it is odd", "DumpFailed", "pg_dump: it is odd"),
        ("write: No space left on device", "DiskFull", "pg_dump: the disk is full: write"),
        ("", "DumpFailed", "pg_dump: ended with 3"),
        ("FATAL: password=secret", "DumpFailed", "pg_dump: password=***"),
    ],
)
def test_of_a_programs_complaint_the_line_of_the_error_is_told(complaint, kind, message):
    failed = child_failed("pg_dump", 3, complaint)
    assert failed.kind == kind and str(failed).startswith(message) and "secret" not in str(failed)


def test_a_program_that_fails_says_so():
    child = Child(["sh", "-c", "echo 'error: odd' >&2; exit 3"], {})
    with pytest.raises(ChildFailed, match="sh: odd"):
        child.wait()


def test_a_program_that_goes_on_is_ended():
    child = Child(["sleep", "600"], {})
    child.end()
    assert child.process.returncode != 0


@pytest.mark.parametrize(("number", "kind"), [(28, "DiskFull"), (13, "NotAllowed"), (5, "DumpFailed")])
def test_what_the_file_system_refuses_has_our_words(number, kind):
    def write():
        with disk_errors():
            raise OSError(number, "why", "/file")

    assert kind_of(write) == kind
