"""What Imagesmith adds to Airflow's API server."""
