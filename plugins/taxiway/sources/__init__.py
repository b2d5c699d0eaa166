"""What is loaded: sources, as their YAML files describe them.

- checks: measures with bounds, checked before a month is published
- months: a month, the unit of a load
- source: columns, addresses and limits of a source
- strict_yaml: reads a YAML file with keys, values and lists only
"""
