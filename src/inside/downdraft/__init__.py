"""What runs inside an Airflow image: Airflow 2.7 to 3.3, Python 3.8 and newer, standard library and Airflow only.

Programs: probe, triggers, ask, digests and runner. Imports point one way: base modules, orders, steps, backup, kinds,
inspect, runner.
"""
