"""The whole system on one machine: PostgreSQL, Airflow's four components, and a keeper that revives them.

Everything listens on loopback, keeps its state under `settings.home()/airflow`, and outlives the command
that started it.
"""
