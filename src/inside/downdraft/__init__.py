"""What runs inside an Airflow image: Airflow 2.7 to 3.3, Python 3.8 and newer, standard library and Airflow only.

Programs: probe, triggers, ask, digests and runner; each has a function `main`. Imports point one way, floor by floor:
messages and the modules in no folder, orders, steps, backup, kinds, inspect, carry, runner.
"""
