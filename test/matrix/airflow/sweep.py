"""Loads every row of the metadata database by this Airflow's own models and tells what it read, as one line of JSON.

`errors` are rows that can't be loaded. `values` are what people stored, in a form that is equal in all versions when the
values are: XComs, variables, connections, run configurations, what deferred tasks and triggers carry. `stale` are
serialized Dags that can't be loaded: they are written anew by the next parse.
"""
import datetime
import decimal
import json

from airflow import models, settings
from airflow.serialization.serialized_objects import BaseSerialization
from sqlalchemy import inspect

settings.initialize()
models.import_all_models()
try:
    from airflow.providers.fab.auth_manager import models as fab_models  # noqa: F401
except ImportError:
    pass
try:
    from airflow.sdk.serde import deserialize as read_new
except ImportError:
    read_new = None


def plain(value):
    """A value as JSON that two versions write alike."""
    if isinstance(value, datetime.datetime):
        return ["datetime", value.astimezone(datetime.timezone.utc).isoformat()]
    if isinstance(value, datetime.timedelta):
        return ["timedelta", value.total_seconds()]
    if isinstance(value, decimal.Decimal):
        return ["decimal", str(value)]
    if isinstance(value, (set, frozenset)):
        return ["set", sorted(map(str, value))]
    if isinstance(value, tuple):
        return ["tuple", [plain(item) for item in value]]
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in sorted(value.items())}
    return value if isinstance(value, (str, int, float, bool, type(None))) else [type(value).__name__, str(value)]


def handed_on(stored):
    """next_kwargs as the worker would get it; the models of 3.1 and older have read it already."""
    if isinstance(stored, dict) and "__var" in stored:
        return BaseSerialization.deserialize(stored)
    return read_new(stored) if read_new and stored is not None else stored


class Sweep:
    def __init__(self, session):
        self.session, self.rows, self.errors, self.stale, self.values = session, {}, [], [], {}

    def load_all(self):
        from airflow.models.base import Base

        present = set(inspect(self.session.get_bind()).get_table_names())
        for mapper in sorted(Base.registry.mappers, key=lambda m: m.class_.__name__):
            table = getattr(mapper.local_table, "name", None)
            if table in present:
                self.load(mapper, table)

    def load(self, mapper, table):
        count = 0
        try:
            for row in self.session.query(mapper.class_):
                count += 1
                for attribute in mapper.column_attrs:
                    getattr(row, attribute.key)
        except Exception as error:
            self.errors.append("%s: %s: %s" % (table, type(error).__name__, str(error)[:300]))
            self.session.rollback()
        self.rows[table] = count

    def tell(self, kind, name, read):
        """Keeps what a reader of Airflow answers for one row, or its error."""
        try:
            self.values["%s %s" % (kind, name)] = plain(read())
        except Exception as error:
            self.errors.append("%s %s: %s: %s" % (kind, name, type(error).__name__, str(error)[:300]))

    def read_values(self):
        query = self.session.query
        for row in query(models.Variable):
            self.tell("variable", row.key, lambda row=row: row.get_val())
        for row in query(models.Connection):
            self.tell("connection", row.conn_id, lambda row=row: [row.conn_type, row.host, row.password, row.extra])
        for row in query(models.Pool):
            self.tell("pool", row.pool, lambda row=row: [row.slots, row.description])
        for row in query(models.DagRun):
            self.tell("run", "%s %s" % (row.dag_id, row.run_id), lambda row=row: [row.state, row.conf, row.note])
        for row in query(models.TaskInstance):
            name = "%s %s %s %s" % (row.dag_id, row.run_id, row.task_id, row.map_index)
            # As it is stored: up to 2.9 the model's own word is the number of the next try.
            tries = vars(row).get("_try_number", row.try_number)
            told = [row.state, tries, row.note]
            self.tell("task", name, lambda row=row, told=told: [*told, handed_on(row.next_kwargs)])
        for row in query(models.trigger.Trigger):
            self.tell("trigger", row.id, lambda row=row: [row.classpath, row.kwargs])
        self.read_xcoms()

    def read_xcoms(self):
        from airflow.models import xcom

        model = getattr(xcom, "XComModel", None) or xcom.BaseXCom
        # Columns, not objects: those of 2.x read their own value when they are loaded, for people, not for tasks.
        names = ("dag_id", "run_id", "task_id", "map_index", "key", "value")
        for row in self.session.query(*(getattr(model, name) for name in names)):
            name = "%s %s %s %s %s" % (row.dag_id, row.run_id, row.task_id, row.map_index, row.key)
            self.tell("xcom", name, lambda row=row: xcom_value(model, row))

    def read_dags(self):
        from airflow.models.serialized_dag import SerializedDagModel

        for row in self.session.query(SerializedDagModel):
            try:
                row.dag  # noqa: B018 loads it
            except Exception as error:
                self.stale.append("%s: %s: %s" % (row.dag_id, type(error).__name__, str(error)[:200]))


def xcom_value(model, row):
    """An XCom as a task would get it. From 3.0 on the worker's side makes typed values out of the stored JSON."""
    if model.__name__ == "BaseXCom":
        return model.deserialize_value(row)
    from airflow.sdk.execution_time.xcom import BaseXCom

    return BaseXCom.deserialize_value(row)


def main():
    session = settings.Session()
    sweep = Sweep(session)
    sweep.load_all()
    for part in (sweep.read_values, sweep.read_dags):
        try:
            part()
        except Exception as error:
            sweep.errors.append("%s: %s: %s" % (part.__name__, type(error).__name__, str(error)[:300]))
            session.rollback()
    told = {"rows": sweep.rows, "errors": sweep.errors, "stale": sweep.stale, "values": sweep.values}
    print("MATRIX-SWEEP " + json.dumps(told), flush=True)


main()
