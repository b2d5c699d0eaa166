LEARNING = {"hello_world", "hello_world_daily", "docker_pulls", "getting_started", "loop"}
"""The DAGs of ``dags/learn``."""
