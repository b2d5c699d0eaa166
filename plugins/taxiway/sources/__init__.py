"""What is loaded: sources, as their YAML files describe them.

- checks: measures with bounds, checked before a month is published
- months: a month, the unit of a load
- release: which months come from where, in which format
- report: which columns a month's report is made from
- source: what a source's file describes, as the code uses it
- source_file: which keys a YAML file may have
- strict_yaml: reads a YAML file with keys, values and lists only
"""
