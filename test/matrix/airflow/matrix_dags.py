"""Dags that leave a row of every kind in the metadata database, for Airflow 2.7 to 3.3."""
import hashlib
import inspect
import os
from datetime import datetime, timedelta, timezone

import matrix_parts
from airflow import __version__ as version

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.providers.standard.sensors.python import PythonSensor
    from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor, TimeDeltaSensorAsync
    from airflow.sdk import DAG, Asset, task

    far_future = {"deferrable": True}
    if "deferrable" not in inspect.signature(TimeDeltaSensor.__init__).parameters:
        TimeDeltaSensor, far_future = TimeDeltaSensorAsync, {}
except ImportError:
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
    from airflow.decorators import task
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import PythonOperator
    from airflow.sensors.python import PythonSensor
    from airflow.sensors.time_delta import TimeDeltaSensorAsync as TimeDeltaSensor

    far_future = {}
from airflow.timetables.interval import CronDataIntervalTimetable

START = datetime(2025, 1, 1, tzinfo=timezone.utc)
by_hand = {"schedule": None, "start_date": START, "catchup": False}
asset = Asset("matrix://asset")


def push(ti=None, **_):
    for key, value in matrix_parts.XCOMS.items():
        # The API of 3.0 refuses it (422).
        if value is not None or not version.startswith("3.0."):
            ti.xcom_push(key=key, value=value)
    return {"kept": True}


def fail_once(ti=None, **_):
    if ti.try_number < 2:
        raise RuntimeError("fails the first time, as it must")


def poked_twice(run_id=None, **_):
    """Says no the first time that a run asks."""
    mark = os.path.join(os.environ["AIRFLOW_HOME"], "poked-" + hashlib.sha256(run_id.encode()).hexdigest()[:12])
    if os.path.exists(mark):
        return True
    with open(mark, "w"):
        return False


def fail():
    raise RuntimeError("fails, as it must")


with DAG("matrix_works", **by_hand, params={"size": 3}, tags=["matrix"]):

    @task
    def each(number):
        return number * 2

    pushes = PythonOperator(task_id="pushes", python_callable=push, outlets=[asset])
    once = PythonOperator(
        task_id="fails_once", python_callable=fail_once, retries=3, retry_delay=timedelta(seconds=5)
    )
    again = PythonSensor(
        task_id="is_rescheduled",
        python_callable=poked_twice,
        mode="reschedule",
        # Shorter ones overtake the executor's own word of the first poke on a busy machine, and fail.
        poke_interval=10,
        retries=2,
        retry_delay=timedelta(seconds=5),
    )
    bash = BashOperator(task_id="renders", bash_command="echo {{ params.size }} {{ run_id }} {{ dag_run.conf }}")
    pushes >> [once, again, bash] >> each.expand(number=[1, 2, 3])

with DAG("matrix_fails", **by_hand):
    PythonOperator(task_id="fails", python_callable=fail, retries=1, retry_delay=timedelta(seconds=5))

with DAG("matrix_waits", **by_hand):
    TimeDeltaSensor(task_id="far", delta=timedelta(days=3650), **far_future)
    matrix_parts.WaitsForGate(task_id="gate") >> EmptyOperator(task_id="after")

with DAG("matrix_reads", schedule=[asset], start_date=START, catchup=False):
    EmptyOperator(task_id="reads")

with DAG("matrix_days", schedule="@daily", start_date=START, catchup=False):
    EmptyOperator(task_id="day", on_success_callback=[])

with DAG(
    "matrix_minutes",
    schedule=CronDataIntervalTimetable("* * * * *", timezone="UTC"),
    # No interval is left out, so the older version's first run follows the newer one's last: apache/airflow#65688.
    start_date=datetime.fromisoformat(os.environ["MATRIX_SINCE"]),
    catchup=True,
    max_active_runs=1,
):
    EmptyOperator(task_id="minute")

try:
    from airflow.providers.standard.triggers.file import FileDeleteTrigger
    from airflow.sdk import AssetWatcher
except ImportError:
    pass
else:
    watcher = AssetWatcher(name="matrix_watcher", trigger=FileDeleteTrigger(filepath="/nonexistent/matrix"))
    with DAG("matrix_watches", schedule=[Asset("matrix_watched", watchers=[watcher])], start_date=START, catchup=False):
        EmptyOperator(task_id="watches")

try:
    from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference
except ImportError:
    try:
        from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
    except ImportError:
        DeadlineAlert = None
alert = {}
if DeadlineAlert:
    alert["deadline"] = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(days=3650),
        callback=AsyncCallback(matrix_parts.late, kwargs={"why": "late"}),
    )
with DAG("matrix_deadline", **by_hand, **alert):
    # A deadline lives as long as its run.
    matrix_parts.WaitsForGate(task_id="waits")
