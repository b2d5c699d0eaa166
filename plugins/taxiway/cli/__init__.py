"""The commands ``airflow taxi …``: what is loaded, whether it is right, and what is wrong here. They change nothing.

A command is one module with a function of the command's name, and an entry in ``commands``.

- alerts: ``airflow taxi alerts``
- commands: their options, and how they get into Airflow's command line
- course: the lines and sentences of ``verify --course``
- doctor: ``airflow taxi doctor``
- lines: the months that are asked for
- output: formats, exit codes, and how an error is said
- plan: ``airflow taxi plan``
- rejects: ``airflow taxi rejects``
- status: ``airflow taxi status``
- stranded_runs: runs that nobody works on, and what has them go on
- verify: ``airflow taxi verify``
- warehouses: opens a warehouse to read its published months, and asks how their last loads have ended
"""
