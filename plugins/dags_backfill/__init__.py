"""The command ``airflow dags backfill``.

- api_server: the execution API that tasks report to
- callbacks: runs what Airflow leaves to its DAG processor
- cli: adds the command to Airflow's command line
- command: from the options to the exit code
- configuration: which setting of Airflow may be the cause of an error
- creation: creates Airflow's backfill and its runs
- dag_files: reads the DAG's file
- dates: the range of dates that is asked for
- errors: why a backfill can't start, with exit codes
- interrupted_runs: puts runs in order that didn't end
- lock: one command per DAG
- newest_api: builds only the newest version of the execution API
- outcome: how the runs stand
- output: keeps the command's lines apart from Airflow's messages
- plan: what a call would do with each run
- processes: child processes that never outlive the command
- progress: shows how a backfill goes
- queueing: which tasks may go to the executor now
- request: the options, checked
- runner: runs a backfill to its end
- signals: Ctrl-C, SIGTERM and a closed terminal
- summary: the first and the last lines
- takeover: takes over runs that nobody works on
- task_records: which tasks of a run have run
- triggerer: a triggerer for this call
- workers: starts and ends the executors
"""
