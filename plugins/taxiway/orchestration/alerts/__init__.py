"""Tells people, through Airflow's notifiers, what has become of a month: docs/alerts.md.

- alert: what a message says
- links: where the log and the board are
- memory: what has been told, so that one cause is one message
- recipients: who is told what, as the Variable taxiway_alerts says
- senders: sends a message by mail, to Slack or to a webhook
- taxi_alert: the notifier that DAGs and tasks have as their callback
"""
